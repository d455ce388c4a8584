// SPDX-License-Identifier: Apache-2.0
package import Cryptography
internal import Glibc
package import Primitives
internal import Processes

/// The keys a project signs its tokens with: the file that `signing_keys_path` of `[auth]` names, an array of JSON Web Keys.
///
/// A key's part is in its member `status`, which other programs ignore. Without it the first key signs and the others wait,
/// which is what the Supabase CLI makes of such a file.
package struct SigningKeyFile: Sendable {
    /// The life of a key, in order. All but revoked ones are published and verify tokens.
    package enum Status: String, Sendable, CaseIterable {
        /// Published ahead of its use, so that whoever keeps a copy of the key set has it when the first token comes.
        case standby
        /// Signs. One key does.
        case current
        /// Signed tokens that are still valid.
        case previouslyUsed = "previously_used"
        /// Verifies nothing any more: its tokens are refused from now on.
        case revoked
    }

    /// One key.
    package struct Entry: Sendable {
        package let id: String
        package let key: JWTKey
        package var status: Status
        fileprivate let jwk: JSONObject
    }

    /// Keys a file may hold, revoked ones included.
    package static let maxKeys = 32
    package static let maxBytes = 256 << 10

    package let path: String
    package private(set) var entries: [Entry]

    /// An empty file, to be written.
    package init(emptyAt path: String) {
        self.path = path
        entries = []
    }

    /// Reads a file.
    ///
    /// - Throws: ``ProjectError`` when it cannot be read or holds something else than keys with different `kid`, one of which,
    ///   with its private part, signs.
    package init(reading path: String) throws(ProjectError) {
        self.path = path
        guard let text = FileSystem.read(path, maxBytes: Self.maxBytes) else {
            throw ProjectError(
                "cannot read the signing keys in \(path)",
                next: "make one with `atoll gen signing-key --append`, or unset `signing_keys_path` under [auth]")
        }
        guard let values = (try? JSON(parsing: text))?.arrayValue else {
            throw ProjectError("\(path) is no JSON array of keys", next: "make one with `atoll gen signing-key`")
        }
        entries = []
        guard values.count <= Self.maxKeys else {
            throw ProjectError("\(path) holds more than \(Self.maxKeys) keys", next: "remove revoked ones")
        }
        for (index, value) in values.enumerated() { entries.append(try Self.entry(value, at: index, path)) }
        if !entries.contains(where: { $0.status == .current }), let first = entries.indices.first,
            entries[first].jwk["status"] == nil
        {
            entries[first].status = .current
        }
        try check()
    }

    private static func entry(_ value: JSON, at index: Int, _ path: String) throws(ProjectError) -> Entry {
        let place = "key \(index + 1) in \(path)"
        guard let jwk = value.objectValue, let id = jwk["kid"]?.stringValue, !id.isEmpty else {
            throw ProjectError("\(place) has no `kid`", next: "give each key an id of its own")
        }
        guard let key = try? JWTKey(jwk: value) else {
            throw ProjectError(
                "\(place) is none that tokens are signed with",
                next: "use ES256 (EC on P-256), RS256 (RSA of 2048 bits and more) or HS256 (oct of 32 bytes and more)")
        }
        guard let name = jwk["status"] else {
            return Entry(id: id, key: key, status: key.canSign ? .standby : .previouslyUsed, jwk: jwk)
        }
        guard let status = name.stringValue.flatMap(Status.init) else {
            throw ProjectError(
                "the `status` of \(place) is none",
                next: "use " + Status.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", "))
        }
        return Entry(id: id, key: key, status: status, jwk: jwk)
    }

    private func check() throws(ProjectError) {
        guard Set(entries.map(\.id)).count == entries.count else {
            throw ProjectError("two keys in \(path) have the same `kid`", next: "give each key an id of its own")
        }
        let current = entries.filter { $0.status == .current }
        guard current.count == 1, current[0].key.canSign else {
            throw ProjectError(
                "\(path) has no key to sign with, or more than one",
                next: "give one private key the status `current`, or make one with `atoll gen signing-key --append`")
        }
    }

    /// The keys in force. The shared secret still verifies, so that API keys and tokens signed with it stay valid.
    package func keySet(sharedSecret: [UInt8]) throws(ProjectError) -> KeySet {
        try check()
        guard let current = entries.first(where: { $0.status == .current }) else {
            throw ProjectError(
                "\(path) has no key to sign with", next: "make one with `atoll gen signing-key --append`")
        }
        let others = entries.filter { $0.status == .standby || $0.status == .previouslyUsed }
        return KeySet(
            signingKey: current.key,
            verificationKeys: others.map(\.key) + [JWTKey(sharedSecret: sharedSecret)])
    }

    // MARK: Changes

    /// Adds a key: the current one of an empty file, else one that waits.
    package mutating func append(_ jwk: JSON) throws(ProjectError) {
        guard entries.count < Self.maxKeys else {
            throw ProjectError("\(path) holds \(Self.maxKeys) keys", next: "remove revoked ones")
        }
        var entry = try Self.entry(jwk, at: entries.count, path)
        entry.status = entries.isEmpty ? .current : .standby
        entries.append(entry)
        try check()
    }

    /// Lets the key that has waited longest sign, and the one that signed verify only.
    ///
    /// - Returns: the id of the key that signs now.
    package mutating func rotate() throws(ProjectError) -> String {
        guard let next = entries.firstIndex(where: { $0.status == .standby && $0.key.canSign }) else {
            throw ProjectError(
                "no key of \(path) waits to be used",
                next: "make one with `atoll gen signing-key --append` and wait for 10 minutes")
        }
        for index in entries.indices where entries[index].status == .current { entries[index].status = .previouslyUsed }
        entries[next].status = .current
        return entries[next].id
    }

    /// Refuses a key's tokens from now on.
    package mutating func revoke(_ id: String) throws(ProjectError) {
        guard let index = entries.firstIndex(where: { $0.id == id }) else {
            throw ProjectError("\(path) has no key \(id)", next: "list them with `atoll signing-keys list`")
        }
        guard entries[index].status != .current else {
            throw ProjectError("\(id) is the key that signs", next: "rotate first, with `atoll signing-keys rotate`")
        }
        entries[index].status = .revoked
    }

    /// Writes the file, readable by its owner only, as a whole: a server that looks at it meanwhile sees the old or the new one.
    package func write() throws(ProjectError) {
        let values = entries.map { entry in
            var jwk = entry.jwk
            jwk["status"] = .string(entry.status.rawValue)
            return JSON.object(jwk).text
        }
        let draft = "\(path).\(Hex.encode(randomBytes(8)))"
        do {
            try FileSystem.write("[\n  " + values.joined(separator: ",\n  ") + "\n]\n", to: draft, mode: 0o600)
            try FileSystem.rename(draft, to: path)
        } catch {
            unlink(draft)
            throw ProjectError("\(error)", next: "check who may write \(path)")
        }
    }
}

extension Project {
    /// Where the signing keys are; nil when the shared secret signs.
    package var signingKeysPath: String? {
        configuration.auth.signingKeysPath.map(path)
    }

    /// The keys tokens are signed and verified with, read anew.
    ///
    /// - Throws: ``ProjectError``; see ``SigningKeyFile``.
    package func tokenKeys() throws(ProjectError) -> KeySet {
        guard let signingKeysPath else {
            return KeySet(signingKey: JWTKey(sharedSecret: secrets.jwtSecret.bytes))
        }
        return try SigningKeyFile(reading: signingKeysPath).keySet(sharedSecret: secrets.jwtSecret.bytes)
    }
}
