//! One run of QEMU, and the ways into it and out of it: a serial line, qtest (which reads and writes
//! memory and moves interrupt lines while the program runs), QMP, and a trace of its LEDs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// QEMU must be there within this time, on however busy a computer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What makes QEMU log each instruction.
const STEPS: &[&str] = &["-singlestep", "-d", "exec,nochain,int"];

/// A running QEMU.
pub struct Qemu {
    process: Child,
    /// The serial line; reading does not wait.
    pub line: UnixStream,
    qtest: BufReader<UnixStream>,
    qmp: BufReader<UnixStream>,
    trace: PathBuf,
}

impl Qemu {
    /// Starts the program `elf` on mps2-an386, with `psram` as its PSRAM; `folder` takes what QEMU
    /// leaves, and with `steps` a log of each instruction in `trace`. All of the program's bytes are in [`Self::line`], from the first on.
    ///
    /// # Errors
    /// QEMU is not there, or ends at once: the error says why.
    pub fn start(elf: &Path, psram: &Path, folder: &Path, steps: bool) -> Result<Self> {
        let listen = |name: &str| {
            let path = folder.join(name);
            let _ = fs::remove_file(&path);
            UnixListener::bind(&path).with_context(|| path.display().to_string())
        };
        let listeners = [listen("line")?, listen("qtest")?, listen("qmp")?];
        let trace = folder.join("trace");
        let _ = fs::remove_file(&trace);
        let errors = folder.join("errors");
        // QEMU connects to this program, which thus knows when it is there.
        let socket = |name: &str| format!("unix:{}", folder.join(name).display());
        let mut process = Command::new("qemu-system-arm")
            .args(["-machine", "mps2-an386,memory-backend=psram"])
            .args(["-nographic", "-monitor", "none", "-kernel"])
            .arg(elf)
            .arg("-object")
            .arg(format!(
                "memory-backend-file,id=psram,size=16M,share=on,mem-path={}",
                psram.display()
            ))
            .args(["-device", "tmp105,id=thermometer,bus=i2c,address=0x48"])
            .args(["-serial", &socket("line")])
            .args(["-qtest", &socket("qtest"), "-qtest-log", "none"])
            .args(["-qmp", &socket("qmp")])
            .args([
                "-trace",
                "led_change_intensity",
                "-trace",
                "cmsdk_apb_watchdog_reset",
            ])
            .args(["-msg", "timestamp=on", "-D"])
            .arg(&trace)
            // -qtest alone would choose the accelerator of that name, which runs no code.
            .args(["-accel", "tcg"])
            .args(if steps { STEPS } else { &[] })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors)?)
            .spawn()
            .context("qemu-system-arm (Debian: qemu-system-arm) cannot be started")?;
        let mut streams = vec![];
        for listener in listeners {
            streams.push(accept(&listener, &mut process, &errors)?);
        }
        let (Some(qmp), Some(qtest), Some(line)) = (streams.pop(), streams.pop(), streams.pop())
        else {
            bail!("QEMU has not connected");
        };
        line.set_nonblocking(true)?;
        let mut qemu = Self {
            process,
            line,
            qtest: BufReader::new(qtest),
            qmp: BufReader::new(qmp),
            trace,
        };
        qemu.answer()?; // its greeting
        qemu.qmp("qmp_capabilities", json!({}))?;
        Ok(qemu)
    }

    /// Ends QEMU at once, as loss of power does.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// One qtest command; its answer without the word OK.
    pub fn qtest(&mut self, command: &str) -> Result<String> {
        writeln!(self.qtest.get_mut(), "{command}")?;
        loop {
            let mut answer = String::new();
            ensure!(self.qtest.read_line(&mut answer)? > 0, "QEMU closed qtest");
            match answer.trim().split_once(' ').unwrap_or((answer.trim(), "")) {
                ("OK", rest) => return Ok(rest.to_owned()),
                ("FAIL" | "ERR", why) => bail!("qtest: {command}: {why}"),
                // Interrupts are told, too.
                _ => {}
            }
        }
    }

    /// One word of memory.
    pub fn word(&mut self, address: u64) -> Result<u32> {
        let answer = self.qtest(&format!("readl {address:#x}"))?;
        let digits = answer.trim_start_matches("0x");
        Ok(u64::from_str_radix(digits, 16)? as u32)
    }

    /// `length` bytes of memory.
    pub fn memory(&mut self, address: u64, length: u64) -> Result<Vec<u8>> {
        let answer = self.qtest(&format!("read {address:#x} {length:#x}"))?;
        let digits = answer.trim_start_matches("0x").as_bytes();
        let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        digits.chunks(2).map(byte).collect()
    }

    /// One QMP command and what it returned.
    pub fn qmp(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.qmp.get_mut(), "{line}")?;
        loop {
            let answer = self.answer()?;
            if let Some(error) = answer.get("error") {
                bail!("QMP: {command}: {error}");
            }
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
        }
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.qmp.read_line(&mut line)? > 0, "QEMU closed QMP");
        Ok(serde_json::from_str(&line)?)
    }

    /// The changes of SCC's LEDs so far: seconds since 1970, and which are lit from then on.
    ///
    /// At each reset QEMU tells all LEDs as lit, which they are not; that is left out.
    pub fn leds(&self) -> Result<Vec<(Duration, u8)>> {
        let text = fs::read_to_string(&self.trace)?;
        let mut changes: Vec<(Duration, u8)> = vec![];
        let mut leds = 0u8;
        let mut before_reset = 0;
        for line in text.lines() {
            let Some((at, what)) = line
                .split_once('@')
                .and_then(|(_, rest)| rest.split_once(':'))
            else {
                continue;
            };
            let at = Duration::try_from_secs_f64(at.parse()?)?;
            if what.starts_with("cmsdk_apb_watchdog_reset") {
                changes.truncate(before_reset);
                leds = 0;
                changes.push((at, leds));
                before_reset = changes.len();
                continue;
            }
            if what.contains("'USERLED0'") && what.ends_with("-> 100%") {
                // The first that a reset tells; nothing else lights it.
                before_reset = changes.len();
            }
            let Some(led) = what
                .split("'SCC LED")
                .nth(1)
                .and_then(|rest| rest.chars().next())
            else {
                continue;
            };
            let mask = 1 << led.to_digit(8).context("an LED beyond the eighth")?;
            match what.ends_with("-> 0%") {
                true => leds &= !mask,
                false => leds |= mask,
            }
            changes.push((at, leds));
        }
        Ok(changes)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for QEMU to connect.
fn accept(listener: &UnixListener, process: &mut Child, errors: &Path) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let begin = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => {}
            Err(why) => return Err(why.into()),
        }
        if let Some(status) = process.try_wait()? {
            bail!(
                "QEMU ended ({status}): {}",
                fs::read_to_string(errors)?.trim()
            );
        }
        ensure!(
            begin.elapsed() < PATIENCE,
            "QEMU has not connected within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
