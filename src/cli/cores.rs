//! No picture of this process's memory: it holds tokens.
//!
//! A limit of zero keeps the kernel from writing a core; being not dumpable also keeps a program from getting
//! one through a pipe, and others of the same user from reading the memory (core(5), prctl(2)). The limit goes
//! on to the programs that azir starts, which hold tokens as well.

/// Sees to it that no core of this process is made, as far as the system allows it.
pub(super) fn refuse() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        // Lowering one's own limit is always allowed; a system that refuses it all the same is no reason not to contain.
        let _ = setrlimit(Resource::Core, none);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // As above.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
