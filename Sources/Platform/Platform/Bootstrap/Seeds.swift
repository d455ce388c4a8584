// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Postgres
internal import Primitives

/// The seed files of a project: each runs once, and is recorded with its SHA-256 in `supabase_migrations.seed_files`. One
/// that has changed since is not run again, only its digest is noted: its rows may be there already.
struct Seeds: Sendable {
    /// What there is to do with a file.
    enum Step: Sendable, Equatable {
        case run
        case note
        case nothing
    }

    /// The folder that patterns and recorded paths start from: the project's.
    let projectFolder: String
    let patterns: [String]

    /// The files of all patterns in their order, each once, and the patterns that match none.
    func files() throws -> (files: [SQLFile], unmatched: [String]) {
        var files: [SQLFile] = []
        var unmatched: [String] = []
        var seen: Set<String> = []
        for pattern in patterns {
            let absolute = pattern.hasPrefix("/")
            let matches = SQLFile.matches(of: absolute ? pattern : "\(projectFolder)/\(pattern)")
            if matches.isEmpty { unmatched.append(pattern) }
            for match in matches {
                let path = absolute ? match : String(match.dropFirst(projectFolder.count + 1))
                if seen.insert(path).inserted { files.append(try SQLFile(path: path, in: projectFolder)) }
            }
        }
        return (files, unmatched)
    }

    /// Decides on one file by the digest that is recorded for it, if any.
    static func step(for digest: String, recorded: String?) -> Step {
        guard let recorded else { return .run }
        return recorded == digest ? .nothing : .note
    }

    /// Runs what is new.
    ///
    /// - Parameter progress: told the path of each file before it runs.
    /// - Returns: the paths of the files that were run.
    func run(_ files: [SQLFile], on database: Database, progress: (String) -> Void) async throws -> [String] {
        guard !files.isEmpty else { return [] }
        try await database.query(
            """
            create table if not exists supabase_migrations.seed_files (
                path text not null primary key,
                hash text not null
            )
            """)
        let recorded = try await database.query("select path, hash from supabase_migrations.seed_files")
        let digests = Dictionary(
            recorded.rows.map { ($0["path"].string ?? "", $0["hash"].string ?? "") }, uniquingKeysWith: { $1 })
        var run: [String] = []
        for file in files {
            let digest = Hex.encode(digest(file.text.utf8))
            switch Self.step(for: digest, recorded: digests[file.path]) {
            case .nothing: continue
            case .note: try await database.run(script: SQLScript(record(file.path, digest)), label: file.path)
            case .run:
                progress(file.path)
                // The record goes with the rows, in one transaction where the file allows it.
                let script = "\(file.text)\n;\n\(record(file.path, digest))"
                try await database.run(script: SQLScript(script), label: file.path)
                run.append(file.path)
            }
        }
        return run
    }

    private func record(_ path: String, _ digest: String) -> String {
        """
        insert into supabase_migrations.seed_files (path, hash)
        values (\(quoteLiteral(path)), \(quoteLiteral(digest)))
        on conflict (path) do update set hash = excluded.hash
        """
    }
}
