//! Runs `archctl`, to its end or beside the test.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The JSON that was printed, whether it is one value or a line each.
    pub(crate) fn json_lines_or_one(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| self.json_lines().into())
    }

    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// `archctl` with the environment of the tests' machine kept out.
pub(crate) fn archctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archctl"));
    forget_settings(&mut command);
    forget_colours(&mut command);
    command
        .args(args)
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// Keeps out the settings of the tests' machine, its config file included. Times are in UTC.
fn forget_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ARCHCTL_") {
            command.env_remove(name);
        }
    }
    let nowhere = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-config");
    command
        .env("XDG_CONFIG_HOME", nowhere)
        .env("ARCHCTL_TIME_ZONE", "UTC");
}

/// Keeps out what says on the tests' machine whether there are colours: in a CI, even a terminal
/// that calls itself dumb has them.
fn forget_colours(command: &mut Command) {
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(variable);
    }
}

/// Runs `archctl` to its end.
pub(crate) fn run(endpoint: &str, args: &[&str]) -> Ended {
    archctl(args)
        .env("ARCHCTL_ENDPOINT", endpoint)
        .output()
        .unwrap()
        .into()
}

/// Runs `archctl` to its end with these words on standard input.
pub(crate) fn run_with_input(endpoint: &str, args: &[&str], input: &[u8]) -> Ended {
    let mut child = archctl(args)
        .env("ARCHCTL_ENDPOINT", endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin: ChildStdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap().into()
}

/// `archctl` on a terminal of its own, on whose standard output all that it shows comes out.
fn on_terminal(
    endpoint: &str,
    args: &[&str],
    variables: &[(&str, &str)],
    columns: usize,
) -> Command {
    // A new terminal has no size, and nothing is drawn on that.
    let line = format!("stty cols {columns} rows 24; {}", words(args));
    let mut script = on_terminal_does(endpoint, &line);
    script.envs(variables.iter().copied()).stdin(Stdio::null());
    script
}

/// `archctl` with these arguments, for a shell.
pub(crate) fn words(args: &[&str]) -> String {
    let archctl = archctl(args);
    let words = std::iter::once(archctl.get_program()).chain(archctl.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    words.join(" ")
}

/// A line of a shell on a terminal of its own.
pub(crate) fn on_terminal_does(endpoint: &str, line: &str) -> Command {
    let mut script = Command::new("script");
    forget_settings(&mut script);
    forget_colours(&mut script);
    script
        .args(["-qec", line, "/dev/null"])
        .env("ARCHCTL_ENDPOINT", endpoint)
        .env("TERM", "xterm")
        .env_remove("COLUMNS");
    script
}

/// Runs `archctl` to its end on a terminal.
pub(crate) fn run_on_terminal(endpoint: &str, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    run_on_terminal_of(80, endpoint, args, variables)
}

/// The same on a terminal that is so wide.
pub(crate) fn run_on_terminal_of(
    columns: usize,
    endpoint: &str,
    args: &[&str],
    variables: &[(&str, &str)],
) -> Ended {
    on_terminal(endpoint, args, variables, columns)
        .output()
        .unwrap()
        .into()
}

/// `archctl` beside the test, read line by line.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(endpoint: &str, args: &[&str]) -> Self {
        let mut child = archctl(args)
            .env("ARCHCTL_ENDPOINT", endpoint)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn line(&self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .expect("archctl prints a line")
    }

    /// Waits for a line of talk that holds these words.
    pub(crate) fn hears(&self, words: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("archctl never said {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let kill = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end, and gives the exit code with what was not read yet.
    pub(crate) fn end(mut self) -> Ended {
        // Both pipes end when the program does.
        let rest = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ended {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `archctl` and gives its standard output as it is, to be read or closed.
pub(crate) fn piped(endpoint: &str, args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = archctl(args)
        .env("ARCHCTL_ENDPOINT", endpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}
