// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Glibc
internal import Primitives
internal import Processes

/// The secrets made on a project's first start, as `secrets.json` in its state folder holds them: mode 0600 in a folder of mode 0700.
struct StoredSecrets: Sendable {
    var createdAt: Timestamp
    var jwtSecret: SecretString
    var publishableKey: SecretString
    var secretKey: SecretString
    var encryptionKeys: [String: [UInt8]]
    var currentEncryptionKeyID: String
    /// What the passwords of the database's roles are derived from.
    var databaseKey: SecretString
    var s3AccessKeyID: String
    var s3SecretAccessKey: SecretString

    /// New random ones.
    static func generate(at now: Timestamp = .now()) -> StoredSecrets {
        let encryptionKey = randomBytes(EncryptionKey.byteCount)
        let id = EncryptionKey.id(encryptionKey)
        return StoredSecrets(
            createdAt: Timestamp(unixSeconds: now.unixSeconds),
            jwtSecret: SecretString(Base64URL.encode(randomBytes(40))),
            publishableKey: opaqueKey("sb_publishable_"), secretKey: opaqueKey("sb_secret_"),
            encryptionKeys: [id: encryptionKey], currentEncryptionKeyID: id,
            databaseKey: SecretString(Base64URL.encode(randomBytes(32))), s3AccessKeyID: Hex.encode(randomBytes(16)),
            s3SecretAccessKey: SecretString(Hex.encode(randomBytes(32))))
    }

    /// 22 random characters, an underscore and 8 characters of checksum, as Supabase's opaque keys are built.
    static func opaqueKey(_ prefix: String) -> SecretString {
        let random = Base64URL.encode(randomBytes(16))
        let checksum = Base64URL.encode(digest(Array((prefix + random).utf8)).prefix(6))
        return SecretString(prefix + random + "_" + checksum)
    }

    // MARK: File

    /// The secrets of a state folder, made now if there are none. Two processes that start at once end up with the same ones.
    ///
    /// - Throws: ``ProjectError`` when the folder or the file cannot be used.
    static func loadOrCreate(in stateFolder: String) throws(ProjectError) -> StoredSecrets {
        let file = "\(stateFolder)/secrets.json"
        if let secrets = try load(file) { return secrets }
        do {
            // Not `makeFolder` for a folder that is there: the database's user may have been let through it.
            if !FileSystem.exists(stateFolder) { try FileSystem.makeFolder(stateFolder, mode: 0o700) }
            try create("\(stateFolder)/.gitignore", text: "*\n")
            try create(file, text: generate().json.text + "\n")
            try synchronise(folder: stateFolder)
        } catch {
            throw ProjectError("\(error)", next: "check who owns \(stateFolder) and whether the disk is full")
        }
        guard let secrets = try load(file) else {
            throw ProjectError("\(file) vanished while it was made", next: "start again")
        }
        return secrets
    }

    /// Makes a file unless there is one: written whole under a name of its own, then given the right name only if nobody was faster.
    private static func create(_ file: String, text: String) throws {
        let draft = "\(file).\(Hex.encode(randomBytes(8)))"
        try FileSystem.write(text, to: draft, mode: 0o600)
        defer { unlink(draft) }
        guard link(draft, file) == 0 || errno == EEXIST else { throw FileSystemError("cannot write", file) }
    }

    /// Puts these in the place of those in the folder, as a whole. Only one process may do this at a time.
    func replace(in stateFolder: String) throws(ProjectError) {
        let file = "\(stateFolder)/secrets.json"
        let draft = "\(file).\(Hex.encode(randomBytes(8)))"
        do {
            try FileSystem.write(json.text + "\n", to: draft, mode: 0o600)
            guard rename(draft, file) == 0 else { throw FileSystemError("cannot replace", file) }
            try Self.synchronise(folder: stateFolder)
        } catch {
            unlink(draft)
            throw ProjectError("\(error)", next: "check who owns \(stateFolder) and whether the disk is full")
        }
    }

    private static func load(_ file: String) throws(ProjectError) -> StoredSecrets? {
        guard let attributes = FileSystem.attributes(file) else { return nil }
        if attributes.mode & 0o077 != 0, chmod(file, 0o600) != 0 {
            throw ProjectError("others may read \(file)", next: "run chmod 600 on it as its owner")
        }
        guard let text = FileSystem.read(file, maxBytes: 1 << 16) else {
            throw ProjectError("cannot read \(file)", next: "run Atoll as the user who made the project")
        }
        guard let json = try? JSON(parsing: text), let secrets = StoredSecrets(json) else {
            throw ProjectError(
                "\(file) is damaged",
                next: "restore it from a backup; without it tenants' secrets cannot be opened any more")
        }
        return secrets
    }

    private static func synchronise(folder: String) throws {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileSystemError("cannot open", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileSystemError("cannot write", folder) }
    }

    private var json: JSON {
        [
            "version": 1,
            "created_at": JSON(createdAt.unixSeconds),
            "jwt_secret": .string(jwtSecret.reveal()),
            "publishable_key": .string(publishableKey.reveal()),
            "secret_key": .string(secretKey.reveal()),
            "encryption_keys": .object(
                JSONObject(encryptionKeys.sorted { $0.key < $1.key }.map { ($0.key, .string(Base64.encode($0.value))) })
            ),
            "current_encryption_key": .string(currentEncryptionKeyID),
            "database_key": .string(databaseKey.reveal()),
            "s3_access_key_id": .string(s3AccessKeyID),
            "s3_secret_access_key": .string(s3SecretAccessKey.reveal()),
        ]
    }
}

extension StoredSecrets {
    /// nil unless every member is there in its form.
    fileprivate init?(_ json: JSON) {
        func secret(_ name: String) -> SecretString? {
            json[name]?.stringValue.flatMap { $0.isEmpty ? nil : SecretString($0) }
        }
        guard json["version"]?.intValue == 1,
            let createdAt = json["created_at"]?.intValue,
            let jwtSecret = secret("jwt_secret"),
            let publishableKey = secret("publishable_key"),
            let secretKey = secret("secret_key"),
            let encodedKeys = json["encryption_keys"]?.objectValue,
            let currentID = json["current_encryption_key"]?.stringValue,
            let databaseKey = secret("database_key"),
            let s3AccessKeyID = json["s3_access_key_id"]?.stringValue,
            let s3SecretAccessKey = secret("s3_secret_access_key")
        else { return nil }
        var keys: [String: [UInt8]] = [:]
        for (id, encoded) in encodedKeys {
            guard let bytes = encoded.stringValue.flatMap({ Base64.decode($0) }), bytes.count == EncryptionKey.byteCount
            else { return nil }
            keys[id] = bytes
        }
        guard keys[currentID] != nil else { return nil }
        self.init(
            createdAt: Timestamp(unixSeconds: Int64(createdAt)), jwtSecret: jwtSecret, publishableKey: publishableKey,
            secretKey: secretKey, encryptionKeys: keys, currentEncryptionKeyID: currentID, databaseKey: databaseKey,
            s3AccessKeyID: s3AccessKeyID, s3SecretAccessKey: s3SecretAccessKey)
    }
}
