// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Platform
internal import Primitives
internal import Server
internal import Storage

/// `atoll storage check`
enum StorageCommands {
    static func check(_ invocation: Invocation) throws -> Int32 {
        let database = try ProjectDatabase(invocation)
        guard let project = database.project else {
            throw CommandFailure("no project's server runs", next: "start it with `atoll start`")
        }
        let mends = invocation.has("fix")
        let progress = ProgressLine()
        progress.begin("comparing rows and files")
        let report = try database.use { connection in
            let files = try ProjectFiles(project, loops: Loop.current.map { [$0] } ?? [])
            let result: Result<StorageCheck.Report, any Error>
            do {
                result = .success(try await StorageCheck(database: connection, store: files.store).run(mends: mends))
            } catch { result = .failure(error) }
            await files.shutdown()
            return try result.get()
        }
        progress.finish()
        Output.print(OutputFormat(invocation) == .json ? json(report).text : text(report))
        return report.agrees || (mends && report.wrongSizes.isEmpty) ? 0 : 1
    }

    private static func text(_ report: StorageCheck.Report) -> String {
        var lines = report.orphans.map { "orphan   \($0.version)  \($0.byteCount) bytes, in no row" }
        lines += report.missing.map { "missing  \($0.version)  \($0.path)" }
        lines += report.wrongSizes.map { "size     \($0.version)  \($0.path), not \($0.byteCount) bytes" }
        lines.append(
            "\(report.rowCount) objects and \(report.fileCount) files: "
                + (report.agrees ? "they agree" : "\(report.mendedCount) of \(lines.count) faults mended"))
        return lines.joined(separator: "\n")
    }

    private static func json(_ report: StorageCheck.Report) -> JSON {
        func rows(_ rows: [StorageCheck.Row]) -> JSON {
            .array(rows.map { ["version": .string($0.version), "path": .string($0.path), "size": JSON($0.byteCount)] })
        }
        return [
            "objects": JSON(report.rowCount), "files": JSON(report.fileCount),
            "orphans": .array(
                report.orphans.map { ["version": .string($0.version), "size": JSON($0.byteCount)] }),
            "missing": rows(report.missing), "wrong_sizes": rows(report.wrongSizes),
            "mended": JSON(report.mendedCount),
        ]
    }

    static let storage = Command(
        name: "storage", summary: "Look after the project's files.",
        commands: [
            Command(
                name: "check", summary: "Compare the rows of objects with their files.",
                discussion:
                    "Finds files that belong to no object, objects whose file is missing and files of a wrong size, beside the running server. Exits with 1 when something is left that does not agree.",
                options: [
                    .init(
                        name: "fix",
                        summary: "remove files that belong to no object, and the rows of objects whose file is missing")
                ], run: check)
        ])
}
