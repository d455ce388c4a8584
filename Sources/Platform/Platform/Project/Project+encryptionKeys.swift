// SPDX-License-Identifier: Apache-2.0
package import Cryptography
internal import Primitives

extension Project {
    /// Whether the master key is configured (`ENCRYPTION_KEY`) and not the project's own to change.
    package var hasConfiguredEncryptionKey: Bool { configuration.atoll.encryptionKey != nil }

    /// The file that holds the project's own master keys.
    package var secretsFile: String { "\(stateFolder)/secrets.json" }

    /// The keyring as the file and the configuration have it now.
    ///
    /// - Throws: ``ProjectError`` when the file cannot be used.
    package func currentKeyring() throws -> Keyring {
        try ProjectSecrets(StoredSecrets.loadOrCreate(in: stateFolder), configuration).keyring
    }

    /// Makes a new master key, which seals from now on; the others still open what they sealed. Servers take it up within seconds.
    ///
    /// - Returns: its id.
    package func addEncryptionKey() throws -> String {
        var secrets = try StoredSecrets.loadOrCreate(in: stateFolder)
        let key = randomBytes(EncryptionKey.byteCount)
        let id = EncryptionKey.id(key)
        secrets.encryptionKeys[id] = key
        secrets.currentEncryptionKeyID = id
        try secrets.replace(in: stateFolder)
        return id
    }

    /// Forgets all of the project's own master keys but the one that seals: what they sealed cannot be opened any more.
    ///
    /// - Returns: the ids of those that are gone.
    package func removeOldEncryptionKeys() throws -> [String] {
        var secrets = try StoredSecrets.loadOrCreate(in: stateFolder)
        let old = secrets.encryptionKeys.keys.filter { $0 != secrets.currentEncryptionKeyID }.sorted()
        guard !old.isEmpty else { return [] }
        for id in old { secrets.encryptionKeys[id] = nil }
        try secrets.replace(in: stateFolder)
        return old
    }
}
