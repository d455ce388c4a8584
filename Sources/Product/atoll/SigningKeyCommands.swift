// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Platform
internal import Primitives
internal import Processes

/// `atoll gen signing-key`, `atoll signing-keys`
enum SigningKeyCommands {
    static func generate(_ invocation: Invocation) throws -> Int32 {
        guard let algorithm = JWTAlgorithm(rawValue: invocation.value("algorithm") ?? "ES256") else {
            throw UsageError(message: "there is no such algorithm", next: "use ES256 or RS256")
        }
        let jwk = try JWTKey.generateJWK(for: algorithm)
        let project = try Project.open(workdir: invocation.workdir)
        guard let path = project.signingKeysPath else {
            guard !invocation.has("append") else { throw unset }
            Output.print("[\(jwk.text)]")
            Output.printError(
                "Keep this in supabase/signing_keys.json, out of the repository, and set `signing_keys_path = \"./signing_keys.json\"` under [auth]."
            )
            return 0
        }
        let isThere = FileSystem.exists(path)
        guard invocation.has("append") || !isThere || invocation.has("yes") else {
            throw UsageError(
                message: "\(path) holds keys already",
                next: "add --append to keep them, or --yes to replace them, which ends all sessions' access tokens")
        }
        var file =
            isThere && invocation.has("append")
            ? try SigningKeyFile(reading: path) : SigningKeyFile(emptyAt: path)
        try file.append(jwk)
        try file.write()
        Output.print(row(file.entries[file.entries.count - 1]))
        return 0
    }

    static func list(_ invocation: Invocation) throws -> Int32 {
        for entry in try file(invocation).entries { Output.print(row(entry)) }
        return 0
    }

    static func rotate(_ invocation: Invocation) throws -> Int32 {
        var file = try file(invocation)
        let id = try file.rotate()
        try file.write()
        Output.print("\(id) signs now")
        return 0
    }

    static func revoke(_ invocation: Invocation) throws -> Int32 {
        var file = try file(invocation)
        let id = invocation.argument(0) ?? ""
        try file.revoke(id)
        try file.write()
        Output.print("\(id) is revoked")
        return 0
    }

    private static func file(_ invocation: Invocation) throws -> SigningKeyFile {
        guard let path = try Project.open(workdir: invocation.workdir).signingKeysPath else { throw unset }
        return try SigningKeyFile(reading: path)
    }

    private static var unset: ProjectError {
        ProjectError(
            "the project signs with its shared secret",
            next: "set `signing_keys_path = \"./signing_keys.json\"` under [auth] in supabase/config.toml")
    }

    private static func row(_ entry: SigningKeyFile.Entry) -> String {
        "\(entry.id)  \(entry.key.algorithm.rawValue)  \(entry.status.rawValue)"
    }
}
