// SPDX-License-Identifier: Apache-2.0
// Child processes: fork and exec with what posix_spawn cannot do (another user, a signal when the parent dies), and waiting
// by descriptor. The functions are in CLinuxProcess.c.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/// The step at which starting a program failed.
enum clinux_spawn_step {
    CLINUX_SPAWN_FORK = 1,
    CLINUX_SPAWN_STREAMS,
    CLINUX_SPAWN_USER,
    CLINUX_SPAWN_DEATH_SIGNAL,
    CLINUX_SPAWN_FOLDER,
    CLINUX_SPAWN_PROGRAM,
};

/// How to start a program.
struct clinux_spawn_request {
    const char *program;            // path of the executable
    char *const *arguments;         // with the name first; ends with NULL
    char *const *environment;       // "NAME=value"; ends with NULL
    const char *folder;             // working folder, or NULL for the parent's
    int input, output, errors;      // the child's descriptors 0, 1, 2; -1 for /dev/null
    bool change_user;               // become `user` and `group` and drop all other groups
    uid_t user;
    gid_t group;
    int death_signal;               // sent to the child when the thread that started it ends; 0 for none
    bool new_session;               // away from the terminal: its Ctrl-C is not the child's
};

/// Starts the program. Returns its process id; on failure -errno, with the failed step in `step`.
/// The child has default signal dispositions, no blocked signals and no descriptor above 2.
pid_t clinux_spawn(const struct clinux_spawn_request *request, int *step);

/// A descriptor that becomes readable when the process has ended, or -1 with errno.
int clinux_process_descriptor(pid_t process);
/// Sends a signal by process descriptor, so that it never reaches a later process with the same id.
int clinux_process_signal(int descriptor, int signal);
/// The wait status of a child that has ended: 1 and `*status` set, 0 while it runs, -1 with errno.
int clinux_process_reap(pid_t process, int *status);

/// The exit code of a wait status, or -1 when a signal ended the process.
int clinux_exit_code(int status);
/// The signal that ended the process, or 0.
int clinux_exit_signal(int status);

/// A pipe that programs started meanwhile do not inherit, or -1 with errno.
int clinux_pipe(int descriptors[2]);
/// A file in memory with this content, read from the start, or -errno.
int clinux_memory_file(const void *bytes, size_t count);
/// Makes reads and writes of a descriptor return at once.
int clinux_set_nonblocking(int descriptor);
/// Opens `path` for appending and takes an exclusive advisory lock: the descriptor, or -errno (EWOULDBLOCK: another has it).
int clinux_lock_file(const char *path);
/// Whether a new listener could bind `port` on the numeric IPv4 or IPv6 address `host`: 0, or -errno. Binds nothing for good.
int clinux_probe_port(const char *host, unsigned short port);
