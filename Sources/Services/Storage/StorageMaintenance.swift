// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Postgres
internal import Primitives
internal import Synchronization

/// Keeps files and rows in agreement: ends what an earlier run of the server was in the middle of, removes the files of
/// objects that are gone, and gives up uploads nobody continues.
final class StorageMaintenance: Sendable {
    private struct State {
        /// Uploads of this run that are under way: recovery beside the first requests leaves them alone.
        var begun: Set<String> = []
        /// Uploads that could not be given up at once.
        var abandoned: [String] = []
    }

    private let owner: Database
    private let folder: LocalFolder
    private let store: any ObjectStore
    private let interval: Duration
    private let renderedBytes: Int
    private let log: Log
    private let state = Mutex(State())
    /// Beyond it an upload waits for its expiry.
    private static let maxAbandoned = 10_000
    private static let batch = 500

    init(
        owner: Database, folder: LocalFolder, store: any ObjectStore, interval: Duration, renderedBytes: Int, log: Log
    ) {
        self.owner = owner
        self.folder = folder
        self.store = store
        self.interval = interval
        self.renderedBytes = renderedBytes
        self.log = log
    }

    // MARK: What requests tell

    /// Begins an upload under a new version.
    func beginUpload() -> String {
        let version = UUID.random().description
        state.withLock { _ = $0.begun.insert(version) }
        return version
    }

    /// An upload of an earlier run, or an earlier request, is being finished.
    func noteWork(on version: String) { state.withLock { _ = $0.begun.insert(version) } }

    /// The upload's object is committed, or its file is where it belongs until the next part comes.
    func noteCommit(of version: String) { state.withLock { _ = $0.begun.remove(version) } }

    /// Gives an upload up: its reservation, then its file. A cancelled request can ask the database nothing more, so that a
    /// task of its own does it; what fails is left to ``run()``.
    func abandon(_ version: String) async {
        if Task.isCancelled, let loop = Loop.current {
            _ = loop.spawn { [self] in await giveUp(version) }
        } else {
            await giveUp(version)
        }
    }

    private func giveUp(_ version: String) async {
        do {
            try await cancel(version)
            noteCommit(of: version)
        } catch {
            log.warning("upload not given up at once", .field("cause", String(describing: error)))
            state.withLock { state in
                state.begun.remove(version)
                if state.abandoned.count < Self.maxAbandoned { state.abandoned.append(version) }
            }
        }
    }

    /// Removes the files of rows that a request has just deleted or replaced. What fails is done by ``run()``.
    func removeFiles(of versions: [String]) async {
        guard !versions.isEmpty, !Task.isCancelled else { return }
        do { try await removeQueued(versions) } catch {
            log.warning("files not removed at once", .field("cause", String(describing: error)))
        }
    }

    // MARK: Beside the requests

    /// Works until it is cancelled.
    func run() async {
        var isRecovered = false
        while !Task.isCancelled {
            do {
                if !isRecovered {
                    try await recover()
                    isRecovered = true
                }
                try await sweep()
            } catch {
                if Task.isCancelled { return }
                log.error("storage clean-up failed", .field("cause", String(describing: error)))
            }
            guard let loop = Loop.current else { return }
            do { try await loop.sleep(for: isRecovered ? interval : .seconds(1)) } catch { return }
        }
    }

    /// Ends what the last run of this server was in the middle of. Uploads that can be continued stay.
    private func recover() async throws {
        var last = ""
        while true {
            let rows = try await owner.query(
                """
                select version, kind from storage.uploads
                where node = \(folder.node) and kind in ('plain', 'resumable') and version > \(last)
                order by version
                limit \(Self.batch)
                """)
            for row in rows.rows {
                last = row[0].string ?? ""
                let version = last
                if state.withLock({ $0.begun.contains(version) }) { continue }
                // A resumable upload goes on where its file is still being received.
                if row[1].string == "resumable",
                    try await folder.byteCount(of: folder.incomingPath(version)) != nil
                {
                    continue
                }
                try await cancel(version)
            }
            if rows.rowCount < Self.batch { break }
        }
        let names = try await folder.incomingNames()
        for start in stride(from: 0, to: names.count, by: Self.batch) {
            let some = names[start..<min(start + Self.batch, names.count)]
            let versions = some.map { String($0.prefix { $0 != "." }) }
            let known = try await owner.query(
                "select version from storage.uploads where version = any (\(versions)::text[])")
            let kept = Set(known.rows.compactMap { $0[0].string })
            let stray = zip(some, versions).filter { _, version in
                !kept.contains(version) && !state.withLock { $0.begun.contains(version) }
            }
            try await folder.remove(stray.map { folder.incomingPath($0.0) })
        }
    }

    private func sweep() async throws {
        let abandoned = state.withLock { state in
            defer { state.abandoned = [] }
            return state.abandoned
        }
        for version in abandoned { try await cancel(version) }
        while true {
            let expired = try await owner.query(
                """
                select version from storage.uploads
                where node = \(folder.node) and expires_at < now()
                order by expires_at
                limit \(Self.batch)
                """)
            for row in expired.rows { try await cancel(row[0].string ?? "") }
            if expired.rowCount < Self.batch { break }
        }
        while true {
            let removed = try await owner.query(
                "select version from storage.removed_versions order by removed_at limit \(Self.batch)")
            try await removeQueued(removed.rows.compactMap { $0[0].string })
            if removed.rowCount < Self.batch { break }
        }
        try await folder.trimRendered(to: renderedBytes)
    }

    /// The file first, its row in the queue afterwards: a crash between the two does the first once more.
    private func removeQueued(_ versions: [String]) async throws {
        guard !versions.isEmpty else { return }
        try await store.remove(versions)
        try await owner.query("delete from storage.removed_versions where version = any (\(versions)::text[])")
    }

    /// The journal's row decides: who deletes it owns the file. One that a commit has ended is not there any more. The files
    /// go first where they can, so that a crash in between leaves the row that knows them.
    private func cancel(_ version: String) async throws {
        let found = try await owner.query("select kind from storage.uploads where version = \(version)")
        guard let kind = found.onlyRow?[0].string else { return }
        try await folder.remove(
            kind == "multipart"
                ? try await folder.incomingPaths(of: version) : [folder.incomingPath(version)])
        let result = try await owner.query(
            """
            with cancelled as materialized (select storage.cancel_upload(\(version)) as done)
            insert into storage.removed_versions (version)
            select \(version) from cancelled where done
            on conflict do nothing
            """)
        if result.affectedRows == 1 { try await removeQueued([version]) }
    }
}
