// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The user and group that a child process runs as.
package struct ProcessOwner: Sendable, Hashable {
    /// The user's name, for messages.
    package let name: String
    /// The numeric user.
    package let user: UInt32
    /// The user's primary group.
    package let group: UInt32

    package init(name: String, user: UInt32, group: UInt32) {
        self.name = name
        self.user = user
        self.group = group
    }

    /// The user of that name in the system's database, or nil.
    package init?(named name: String) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16384)
        let code = getpwnam_r(name, &entry, &buffer, buffer.count, &found)
        guard code == 0, found != nil else { return nil }
        self.init(name: name, user: entry.pw_uid, group: entry.pw_gid)
    }

    /// Whether this process is root's, and so may start programs as somebody else.
    package static var isRoot: Bool { geteuid() == 0 }
}
