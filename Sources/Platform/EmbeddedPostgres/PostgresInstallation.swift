// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Processes

/// A PostgreSQL on this machine that Atoll can run: version 15 or later, with pgvector.
package struct PostgresInstallation: Sendable, Hashable {
    /// The oldest major version that has what Atoll's SQL uses (`security_invoker` views, `merge`).
    package static let minimumMajor = 15

    /// Where `postgres` and `initdb` are.
    package let binFolder: String
    /// As the program prints it: "18.6".
    package let version: String
    /// The first number of the version.
    package let major: Int
    /// Where the extensions' control files are.
    package let shareFolder: String

    /// The path of one of its programs.
    package func program(_ name: String) -> String { "\(binFolder)/\(name)" }

    /// Whether a loadable module with this control file's name comes with it.
    package func hasExtension(_ name: String) -> Bool {
        FileSystem.exists("\(shareFolder)/extension/\(name).control")
    }

    /// Finds the installation to use: the one a setting names, else the first that fits of
    /// what `scripts/setup` unpacked (in `.tools` of a folder above the executable or the project, beside the executable, in
    /// `/usr/local/lib/atoll`), then the system's, newest first.
    ///
    /// - Parameters:
    ///   - setting: a folder with `postgres` in it or in its `bin`; then nothing else is tried.
    ///   - folders: where the search starts: the executable's folder and the project's.
    ///   - owner: the user it will run as; nil for this process's own. The programs must be runnable by that user.
    ///   - major: the version an existing cluster needs, or nil.
    /// - Throws: ``EmbeddedPostgresError`` with `installationNotFound`, saying of each candidate what it lacks.
    package static func find(
        setting: String? = nil, near folders: [String], owner: ProcessOwner? = nil, major: Int? = nil
    ) throws(EmbeddedPostgresError) -> PostgresInstallation {
        let candidates = setting.map { [$0] } ?? candidates(near: folders)
        var refusals: [String] = []
        for candidate in candidates {
            switch examine(candidate, owner: owner, major: major) {
            case .success(let installation): return installation
            case .failure(let refusal): refusals.append("  \(candidate): \(refusal.reason)")
            }
        }
        let found =
            refusals.isEmpty ? "none was found" : "none of those found fits:\n" + refusals.joined(separator: "\n")
        throw EmbeddedPostgresError(
            .installationNotFound,
            """
            PostgreSQL \(minimumMajor) or later with pgvector is needed, and \(found)
            Run scripts/setup to get one, or set DATABASE_URL to use a server of your own.
            """)
    }

    /// The folders to look at, best first, without repeats.
    static func candidates(near folders: [String], systemFolder: String = "/usr/lib/postgresql") -> [String] {
        var found: [String] = []
        func add(in folder: String) {
            for name in versions(in: folder, prefix: "postgres-") {
                let path = FileSystem.realPath("\(folder)/\(name)") ?? "\(folder)/\(name)"
                if !found.contains(path) { found.append(path) }
            }
        }
        for start in folders {
            var folder = FileSystem.realPath(start) ?? start
            while true {
                add(in: "\(folder)/.tools")
                add(in: folder)
                add(in: "\(folder)/lib/atoll")
                guard let slash = folder.lastIndex(of: "/"), folder != "/" else { break }
                folder = slash == folder.startIndex ? "/" : String(folder[..<slash])
            }
        }
        add(in: "/usr/local/lib/atoll")
        return found + versions(in: systemFolder, prefix: "").map { "\(systemFolder)/\($0)" }
    }

    /// The folder's entries that are `prefix` and then a version, highest version first.
    static func versions(in folder: String, prefix: String) -> [String] {
        let named = FileSystem.entries(of: folder).compactMap { name -> (name: String, version: [Int])? in
            guard name.hasPrefix(prefix), name.dropFirst(prefix.count).first?.isNumber == true else { return nil }
            return (name, numbers(in: name.dropFirst(prefix.count)))
        }
        return named.sorted { $1.version.lexicographicallyPrecedes($0.version) }.map(\.name)
    }

    private struct Refusal: Error {
        var reason: String
    }

    /// Looks at one folder, cheapest question first.
    private static func examine(
        _ folder: String, owner: ProcessOwner?, major: Int?
    ) -> Result<PostgresInstallation, Refusal> {
        func refuse(_ reason: String) -> Result<PostgresInstallation, Refusal> { .failure(Refusal(reason: reason)) }
        guard let bin = ["\(folder)/bin", folder].first(where: { FileSystem.exists("\($0)/postgres") }) else {
            return refuse("no program `postgres` there")
        }
        guard FileSystem.exists("\(bin)/initdb") else { return refuse("no program `initdb` beside `postgres`") }
        let text: String
        do {
            let result = try ProgramInvocation("\(bin)/postgres", ["--version"], folder: "/", owner: owner)
                .capture(timeout: .seconds(10), maxOutputBytes: 4096)
            guard result.isSuccess else { return refuse("`postgres --version` failed: \(result.output)") }
            text = result.output
        } catch {
            return refuse(owner.map { "the user \($0.name) cannot run it (\(error))" } ?? "\(error)")
        }
        // "postgres (PostgreSQL) 18.6 (Debian 18.6-1)": the first word that begins with a digit.
        guard let version = text.split(whereSeparator: \.isWhitespace).first(where: { $0.first?.isNumber == true }),
            let found = numbers(in: version).first
        else { return refuse("`postgres --version` printed \(text)") }
        guard found >= minimumMajor else { return refuse("it is version \(version), older than \(minimumMajor)") }
        if let major, major != found { return refuse("it is version \(version), and the cluster needs \(major)") }
        guard let share = shareFolder(bin: bin, major: found) else {
            return refuse("the extension `vector` (pgvector) is missing; Debian calls it postgresql-\(found)-pgvector")
        }
        return .success(
            PostgresInstallation(
                binFolder: bin, version: String(version), major: found, shareFolder: share))
    }

    /// The folder of shared files that has pgvector: beside the programs, Debian's split layout, or what `pg_config` says.
    private static func shareFolder(bin: String, major: Int) -> String? {
        let real = FileSystem.realPath(bin) ?? bin
        func hasVector(_ folder: String) -> Bool { FileSystem.exists("\(folder)/extension/vector.control") }
        let usual = ["\(real)/../share", "\(real)/../share/postgresql", "/usr/share/postgresql/\(major)"]
        for folder in usual
        where (folder.hasPrefix(real) || real.hasPrefix("/usr/lib/postgresql/")) && hasVector(folder) {
            return FileSystem.realPath(folder)
        }
        let asked = try? ProgramInvocation("\(real)/pg_config", ["--sharedir"], folder: "/")
            .capture(timeout: .seconds(10), maxOutputBytes: 4096)
        guard let asked, asked.isSuccess else { return nil }
        let folder = String(asked.output.prefix { !$0.isNewline })
        return hasVector(folder) ? folder : nil
    }

    private static func numbers(in text: some StringProtocol) -> [Int] {
        text.split { !$0.isNumber }.compactMap { Int($0) }
    }
}
