//! What the responder types: one file a command; the only part that prints, prompts, reads the
//! environment and the home folder.

/// Runs the command line of this process.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
