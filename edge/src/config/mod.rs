//! The station's configuration, `station.toml`: every setting has a default, and all faults of a
//! file are told at once.

mod file;
mod sections;
mod settings;
mod table;

pub use settings::{
    Address, After, Archive, Destination, Dicom, Entity, Folder, Http, Link, Log, LogFormat, Panel,
    Peer, PeerService, Reading, Settings, Web, Worklist,
};
pub use table::{Fault, Faults};
