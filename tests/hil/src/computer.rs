//! A whole emulated ARM computer whose disk holds the station's program: QEMU's `virt` machine with
//! Debian's kernel. It loses power when its QEMU is killed.
//!
//! The kernel's page cache is lost then; what the disk had taken stays. So a missing sync is found,
//! and not a disk that puts off or reorders what it has taken.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::films::of_repository;

/// In this order: each needs those before it.
const MODULES: [&str; 7] = [
    "virtio_ring",
    "virtio",
    "virtio_mmio",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
];

/// The libraries that the station's program needs, in Debian's folder of those for ARM.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu/lib";
const LIBRARY: [&str; 4] = [
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
];

/// What the computer does when it has started its disk and network. MODE comes from the kernel's
/// command line.
const INIT: &str = r#"#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /dev /proc /sys /disk
$B mount -t devtmpfs dev /dev
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
for module in MODULES; do $B insmod /modules/$module.ko; done
$B ifconfig lo 127.0.0.1 up
$B ifconfig eth0 10.0.2.15 up
$B mount -t ext4 /dev/vda /disk || $B poweroff -f
$B mount -t tmpfs tmp /disk/tmp
$B mount --bind /dev /disk/dev
$B mount --bind /proc /disk/proc
$B cp $B /disk/tmp/busybox
exec $B chroot /disk /tmp/busybox sh /station $MODE
"#;

/// What runs on the computer's disk: the station; with `look`, until no film waits for a reader any
/// more, and then what became of the films and whether the store is whole.
const STATION: &str = r#"B=/tmp/busybox
P=/bin/plumbline-edge
C="--config /station.toml"
if [ "$1" = serve ]; then
    $P serve $C
    echo "THE STATION HAS ENDED"
    $B sleep 1000
fi
: > /tmp/out
$P serve $C > /tmp/out 2> /tmp/log &
station=$!
until $B grep -q "^reading with" /tmp/out; do $B sleep 0.2; done
$P films $C --json --newest 100000 > /tmp/films
while $B grep -q '"state":"received"' /tmp/films; do
    $B sleep 2
    $P films $C --json --newest 100000 > /tmp/films
done
kill $station
wait
echo "FILMS BEGIN"
$B cat /tmp/films
echo "FILMS END"
$P check $C && echo "THE STORE IS WHOLE"
$B umount /proc /dev /tmp
$B poweroff -f
"#;

const CONFIG: &str = r#"data = "/store"
bundle = "/models/efficientnet"
[dicom]
listen = "0.0.0.0:11112"
[http]
listen = "127.0.0.1:8043"
[store]
reserve_mib = 16
low_water_mib = 16
"#;

/// The computer, which has no power yet.
pub struct Computer {
    kernel: PathBuf,
    folder: TempDir,
    /// Where films for the station go.
    pub dicom: SocketAddr,
    process: Option<Child>,
}

impl Computer {
    /// A computer whose disk holds this program of a station. `parts` is the folder with kernel,
    /// modules and busybox (`arm_computer` of `.ci/toolchains` makes it).
    ///
    /// # Errors
    /// A part is missing, or `mkfs.ext4` or `cpio` is.
    pub fn new(parts: &Path, program: &Path) -> Result<Self> {
        let folder = TempDir::new()?;
        let path = folder.path();
        let copy = |from: &Path, to: PathBuf| {
            fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))
        };

        let first = path.join("first");
        for name in ["bin", "modules"] {
            fs::create_dir_all(first.join(name))?;
        }
        copy(&parts.join("busybox"), first.join("bin/busybox"))?;
        for module in MODULES {
            let file = format!("modules/{module}.ko");
            copy(&parts.join(&file), first.join(&file))?;
        }
        let init = first.join("init");
        fs::write(&init, INIT.replace("MODULES", &MODULES.join(" ")))?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
        run(Command::new("sh")
            .arg("-c")
            .arg("find . | cpio --create --format newc --quiet > ../first.cpio")
            .current_dir(&first))?;

        let disk = path.join("disk-files");
        for name in ["bin", "lib", "models", "store", "tmp", "dev", "proc"] {
            fs::create_dir_all(disk.join(name))?;
        }
        copy(program, disk.join("bin/plumbline-edge"))?;
        for library in LIBRARY {
            copy(
                &Path::new(LIBRARIES).join(library),
                disk.join("lib").join(library),
            )?;
        }
        for bundle in ["efficientnet", "gate"] {
            let to = disk.join("models").join(bundle);
            fs::create_dir(&to)?;
            for file in fs::read_dir(of_repository("models").join(bundle))? {
                let file = file?;
                copy(&file.path(), to.join(file.file_name()))?;
            }
        }
        fs::write(disk.join("station.toml"), CONFIG)?;
        fs::write(
            disk.join("station"),
            format!("export PLUMBLINE_MODELS=/models\n{STATION}"),
        )?;
        let image = path.join("disk");
        File::create(&image)?.set_len(1 << 30)?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-d"])
            .arg(&disk)
            .arg(&image))?;

        Ok(Self {
            kernel: parts.join("vmlinuz"),
            dicom: free_port()?,
            folder,
            process: None,
        })
    }

    /// Gives the computer power; its station serves, or looks at what it holds.
    pub fn start(&mut self, mode: &str) -> Result<()> {
        ensure!(self.process.is_none(), "the computer has power already");
        let path = self.folder.path();
        self.dicom = free_port()?;
        let forward = format!("user,id=net,hostfwd=tcp:{}-10.0.2.15:11112", self.dicom);
        let drive = format!(
            "file={},format=raw,if=none,id=disk",
            path.join("disk").display()
        );
        let console = File::create(path.join("console"))?;
        let process = Command::new("qemu-system-aarch64")
            .args(["-M", "virt", "-cpu", "cortex-a72", "-m", "768"])
            // Its clock follows the instructions that it has run: the station's limits of time mean
            // the same on however busy a computer.
            .args(["-icount", "shift=1"])
            .args(["-nographic", "-monitor", "none", "-no-reboot", "-kernel"])
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(path.join("first.cpio"))
            .arg("-append")
            .arg(format!("console=ttyAMA0 quiet panic=-1 MODE={mode}"))
            .args(["-drive", &drive, "-device", "virtio-blk-device,drive=disk"])
            .args(["-netdev", &forward])
            .args(["-device", "virtio-net-device,netdev=net"])
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .context("qemu-system-aarch64 (Debian: qemu-system-arm) cannot be started")?;
        self.process = Some(process);
        Ok(())
    }

    /// What the computer has written to its console since it got power.
    pub fn console(&self) -> Result<String> {
        let bytes = fs::read(self.folder.path().join("console"))?;
        Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
    }

    /// Waits until a line of the console begins with this.
    ///
    /// # Errors
    /// It does not within `most`, or the computer goes off before.
    pub fn wait_for(&mut self, line: &str, most: Duration) -> Result<()> {
        let begin = Instant::now();
        loop {
            let off = self.is_off()?;
            let console = self.console()?;
            if console.lines().any(|said| said.starts_with(line)) {
                return Ok(());
            }
            if off || begin.elapsed() > most {
                let end: Vec<_> = console.lines().rev().take(20).collect();
                let end: Vec<_> = end.into_iter().rev().collect();
                bail!(
                    "the computer has not said \"{line}\" in {:?}:\n{}",
                    begin.elapsed(),
                    end.join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the computer has gone off.
    pub fn wait_until_off(&mut self, most: Duration) -> Result<()> {
        let begin = Instant::now();
        while !self.is_off()? {
            ensure!(
                begin.elapsed() < most,
                "the computer does not go off: {}",
                self.console()?
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self.process = None;
        Ok(())
    }

    /// Whether the computer has power.
    pub fn has_power(&self) -> bool {
        self.process.is_some()
    }

    fn is_off(&mut self) -> Result<bool> {
        let process = self.process.as_mut().context("the computer has no power")?;
        Ok(process.try_wait()?.is_some())
    }

    /// Takes the power away, at once.
    pub fn cut_power(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the computer has no power")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        // It may be off.
        let _ = self.cut_power();
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("{name} cannot be started"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {errors}");
    Ok(())
}

/// An address of this computer that nothing listens on.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
