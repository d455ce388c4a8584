// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Processes

/// Where a cluster lives, and as whom.
///
///     <path>/data            the cluster; the server's user alone may enter
///     <path>/socket          the Unix socket, for the same user (and root)
///     <path>/atoll.conf      the settings, written anew at each start
///     <path>/hba.conf        who may log in, and how
///     <path>/lock            held while an Atoll supervises the cluster
///
/// Only `data` and `socket` belong to the server's user: nothing that a server gone bad can write is followed by root, and what
/// root reads there is no more than a number or a word of letters out of a plain file.
package struct ClusterFolder: Sendable {
    /// The folder that holds all of it, absolute.
    package let path: String
    /// The user that the server runs as; nil for this process's own.
    package let owner: ProcessOwner?

    package init(path: String, owner: ProcessOwner?) {
        self.path = path
        self.owner = owner
    }

    package var data: String { "\(path)/data" }
    /// Where `initdb` works; renamed to `data` when it is done, so that an interrupted one leaves no half cluster.
    var unfinishedData: String { "\(path)/data.unfinished" }
    package var settingsFile: String { "\(path)/atoll.conf" }
    var accessFile: String { "\(path)/hba.conf" }
    var lockFile: String { "\(path)/lock" }

    /// The folder of the Unix socket. A socket's whole path has at most 107 bytes, so a deep project gets one below `/tmp`.
    package var socketFolder: String {
        let usual = "\(path)/socket"
        return "\(usual)/.s.PGSQL.65535".utf8.count <= 107 ? usual : "/tmp/atoll-\(Self.digest(path))"
    }

    /// The processes that work in the data folder, which are PostgreSQL's: a sure sign, unlike a number in a file.
    var processes: [Int32] {
        FileSystem.realPath(data).map { ProcessTable.processes(inFolder: $0) } ?? []
    }

    /// What a server of that port keeps beside its Unix socket, with its process's number.
    func socketLockFile(port: Int?) -> String? {
        port.map { "\(socketFolder)/.s.PGSQL.\($0).lock" }
    }

    /// The major version that made the cluster, or nil when there is none yet.
    package var clusterMajor: Int? {
        FileSystem.read("\(data)/PG_VERSION", maxBytes: 16).flatMap { Int($0.prefix { $0.isNumber }) }
    }

    /// The user to run PostgreSQL as: nil unless this process is root's, whom PostgreSQL refuses. Then the named user, or the
    /// first that exists of `atoll` (made by `scripts/setup`), `postgres` and `nobody`.
    package static func serverOwner(named name: String? = nil) throws(EmbeddedPostgresError) -> ProcessOwner? {
        guard ProcessOwner.isRoot else { return nil }
        let names = name.map { [$0] } ?? ["atoll", "postgres", "nobody"]
        for name in names {
            if let owner = ProcessOwner(named: name), owner.user != 0 { return owner }
        }
        throw EmbeddedPostgresError(
            .folderUnusable,
            "PostgreSQL refuses to run as root, and there is no other user \(names.joined(separator: ", ")) to run it as"
        )
    }

    /// The place of a project's cluster: `postgres` in its state folder. When root starts Atoll and the server's user cannot
    /// reach that (a project below /root), a folder below `/var/lib/atoll` with a random name, which the state folder remembers:
    /// a project that is deleted and made again never finds an old one's data.
    package static func ofProject(
        stateFolder: String, owner: ProcessOwner?, sharedFolder: String = "/var/lib/atoll"
    ) throws(EmbeddedPostgresError) -> ClusterFolder {
        let beside = "\(stateFolder)/postgres"
        guard let owner else { return ClusterFolder(path: beside, owner: nil) }
        // Pass-through for others on the state folder itself; its files keep their own modes.
        if let found = FileSystem.attributes(stateFolder), found.mode & 0o001 == 0, found.user == geteuid() {
            chmod(stateFolder, found.mode | 0o011)
        }
        if FileSystem.isReachable(beside, by: owner) { return ClusterFolder(path: beside, owner: owner) }

        let record = "\(stateFolder)/postgres.location"
        if let text = FileSystem.read(record, maxBytes: 4096) {
            let path = String(text.prefix { !$0.isNewline })
            if path.hasPrefix("/") { return ClusterFolder(path: path, owner: owner) }
        }
        var random = SystemRandomNumberGenerator()
        let path = "\(sharedFolder)/\(String(random.next() as UInt64, radix: 16))"
        do {
            try FileSystem.makeFolder(sharedFolder, mode: 0o711)
            try FileSystem.write("\(path)\n", to: record, mode: 0o600)
        } catch {
            throw EmbeddedPostgresError(.folderUnusable, "\(error)")
        }
        return ClusterFolder(path: path, owner: owner)
    }

    /// Makes the folders with the modes that keep others out.
    func prepare() throws(EmbeddedPostgresError) {
        do {
            try FileSystem.makeFolder(path, mode: owner == nil ? 0o700 : 0o711)
            try refuseStrangersSocketFolder()
            try FileSystem.makeFolder(socketFolder, mode: 0o700, owner: owner)
            try refuseStrangersSocketFolder()
            if FileSystem.exists(data) { try FileSystem.makeFolder(data, mode: 0o700, owner: owner) }
        } catch {
            throw EmbeddedPostgresError(.folderUnusable, "the database's folder: \(error)")
        }
        if let owner, !FileSystem.isReachable(data, by: owner) {
            throw EmbeddedPostgresError(
                .folderUnusable,
                "the user \(owner.name), who runs PostgreSQL, cannot reach \(path): a folder above is closed to others")
        }
    }

    /// Whoever owns the folder of the socket can put a server of theirs in its place, which would be told passwords. Below
    /// `/tmp` everybody can make a folder of a name that can be foreseen. Looked at again once it is made, as somebody may have
    /// been faster.
    private func refuseStrangersSocketFolder() throws {
        guard !socketFolder.hasPrefix("\(path)/"),
            let found = FileSystem.attributes(socketFolder, followLinks: false),
            !found.isFolder || (found.user != geteuid() && found.user != owner?.user)
        else { return }
        throw FileSystemError("belongs to somebody else:", socketFolder, code: EPERM)
    }

    /// FNV-1a, for a short stable name; not for secrets.
    private static func digest(_ text: String) -> String {
        let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
