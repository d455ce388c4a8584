// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
internal import Platform
internal import Postgres
internal import Primitives
internal import Tenancy

/// `atoll secrets`
enum SecretCommands {
    /// Until all servers of this machine have taken up a new key: they look every two seconds.
    private static let uptake: Duration = .seconds(5)

    static func rotate(_ invocation: Invocation) throws -> Int32 {
        let connection = try ProjectDatabase(invocation)
        guard let project = connection.project else {
            throw CommandFailure("no project's server runs", next: "start it with `atoll start`")
        }
        guard let batch = Int(invocation.value("batch") ?? "500"), (1...10_000).contains(batch) else {
            throw UsageError(message: "--batch takes a number from 1 to 10000", next: "500 is the default")
        }
        let isResumed = invocation.has("resume") || project.hasConfiguredEncryptionKey
        let progress = ProgressLine()
        if !isResumed {
            progress.begin("making a new master key")
            _ = try project.addEncryptionKey()
        }
        let madeAt = ContinuousClock.now
        let keyring = try project.currentKeyring()
        progress.begin("sealing anew what older keys have sealed")
        let (counts, left) = try connection.use { database in
            guard let loop = Loop.current else { return ([SecretRotation.Count](), 0) }
            let rotation = SecretRotation(database: database, keyring: keyring, batch: batch)
            var counts = SecretRotation.columns.map { _ in SecretRotation.Count() }
            var left = 0
            // A second time, after servers have stopped sealing with the older key.
            for round in 1...2 {
                if round == 2, !isResumed {
                    try await loop.sleep(for: max(.zero, uptake - (ContinuousClock.now - madeAt)))
                }
                left = 0
                for (index, column) in SecretRotation.columns.enumerated() {
                    let count = try await rotation.run(column)
                    counts[index].sealed += count.sealed
                    counts[index].unopened = count.unopened
                    left += try await rotation.outdated(column)
                }
            }
            return (counts, left)
        }
        var removed: [String] = []
        if left == 0, !project.hasConfiguredEncryptionKey, !invocation.has("keep-old") {
            progress.begin("forgetting older keys")
            removed = try project.removeOldEncryptionKeys()
        }
        progress.finish()
        if OutputFormat(invocation) == .json {
            Output.print(json(keyring, counts, left, removed).text)
        } else {
            Output.print(text(keyring, counts, left, removed, project))
        }
        return left == 0 ? 0 : 1
    }

    private static func text(
        _ keyring: Keyring, _ counts: [SecretRotation.Count], _ left: Int, _ removed: [String], _ project: Project
    ) -> String {
        var lines = ["master key \(keyring.currentID) seals"]
        for (column, count) in zip(SecretRotation.columns, counts) {
            lines.append(
                "\(count.sealed) \(column.name) sealed anew"
                    + (count.unopened > 0 ? ", \(count.unopened) that no key opens" : ""))
        }
        if !removed.isEmpty { lines.append("forgotten: \(removed.joined(separator: ", "))") }
        if left > 0 {
            lines.append("\(left) are left under older keys, which are kept; see why and run this again with --resume")
        } else if project.hasConfiguredEncryptionKey {
            lines.append("`previous_encryption_keys` are not needed any more")
        }
        return lines.joined(separator: "\n")
    }

    private static func json(
        _ keyring: Keyring, _ counts: [SecretRotation.Count], _ left: Int, _ removed: [String]
    ) -> JSON {
        [
            "key": .string(keyring.currentID), "left": JSON(left), "forgotten": .array(removed.map { .string($0) }),
            "columns": .array(
                zip(SecretRotation.columns, counts).map { column, count in
                    [
                        "name": .string(column.name), "table": .string(column.table), "sealed": JSON(count.sealed),
                        "unopened": JSON(count.unopened),
                    ]
                }),
        ]
    }

    static let secrets = Command(
        name: "secrets", summary: "Look after what is kept under seal.",
        commands: [
            Command(
                name: "rotate", summary: "Change the master key beside the running server.",
                discussion:
                    "Makes a new key, seals everything anew in batches and then forgets the older keys. What is interrupted goes on with --resume; older keys are kept until nothing needs them. With ENCRYPTION_KEY, set the new one, put the old one into previous_encryption_keys and restart first. Backups from before need the older .atoll/secrets.json.",
                options: [
                    .init(name: "resume", summary: "make no new key, only finish what was begun"),
                    .init(name: "keep-old", summary: "do not forget older keys"),
                    .init(name: "batch", value: "COUNT", summary: "rows at a time; 500 by default"),
                ], run: rotate)
        ])
}
