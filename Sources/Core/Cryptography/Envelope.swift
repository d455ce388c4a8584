// SPDX-License-Identifier: Apache-2.0
import Primitives
internal import Synchronization

/// What a ciphertext is bound to besides its key; opening it with another context fails.
///
/// Each part is written with its length in front, so that no two lists of parts read the same.
package struct SealingContext: Sendable {
    let bytes: [UInt8]

    /// - Parameter parts: for a tenant's secret, the tenant's id and the service's name.
    package init(_ parts: String...) { self.init(parts) }

    package init(_ parts: [String]) {
        var bytes: [UInt8] = []
        for part in parts {
            let count = UInt32(part.utf8.count)
            bytes += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
            bytes += part.utf8
        }
        self.bytes = bytes
    }
}

/// The encryption keys of a project by id: one seals, all open, so that keys change without downtime. Whoever holds it sees the change.
///
/// A sealed text is `v1.<key id>.<base64url of nonce, ciphertext and tag>`, AES-256-GCM with a random 96-bit nonce. The
/// version and the key id are authenticated along with the context.
package final class Keyring: Sendable {
    private static let version = "v1"

    private struct Keys: Sendable {
        var keys: [String: [UInt8]]
        var currentID: String
    }

    private struct State: Sendable {
        var keys: Keys
        /// Where newer keys come from, and when it was asked last.
        var source: (@Sendable () -> Keyring?)?
        var askedAt: ContinuousClock.Instant?
    }

    private let state: Mutex<State>

    /// The id of the key that seals.
    package var currentID: String { state.withLock { $0.keys.currentID } }

    /// The beginning of what the current key has sealed.
    package var currentPrefix: String { "\(Self.version).\(currentID)." }

    /// - Parameters:
    ///   - keys: 32 bytes each, by an id of 1 to 64 letters, digits, `-` or `_`.
    ///   - currentID: one of the ids.
    /// - Throws: `invalidKey` for a key or id of another form, or a current id without a key.
    package init(keys: [String: [UInt8]], currentID: String) throws(CryptographyError) {
        for (id, key) in keys {
            guard key.count == AES256GCM.keyByteCount, Self.isValidID(id) else { throw .invalidKey }
        }
        guard keys[currentID] != nil else { throw .invalidKey }
        state = Mutex(State(keys: Keys(keys: keys, currentID: currentID)))
    }

    /// Puts another keyring's keys in force.
    package func replace(with other: Keyring) {
        let keys = other.state.withLock { $0.keys }
        state.withLock { $0.keys = keys }
    }

    /// Has newer keys looked for when an envelope names one that is not known: another process may have sealed it with a new key before
    /// this one has heard of it. Asked once a second at most; it may block for as long as reading a file takes.
    package func look(for source: @escaping @Sendable () -> Keyring?) {
        state.withLock { $0.source = source }
    }

    /// Encrypts for storage.
    package func seal(_ plaintext: [UInt8], context: SealingContext) throws(CryptographyError) -> String {
        let current = state.withLock { $0.keys }
        guard let key = current.keys[current.currentID] else { throw .unknownKey(id: current.currentID) }
        let header = Self.version + "." + current.currentID
        let nonce = randomBytes(AES256GCM.nonceByteCount)
        let sealed = try AES256GCM.seal(
            plaintext, key: key, nonce: nonce, associatedData: Self.associatedData(header, context))
        return header + "." + Base64URL.encode(nonce + sealed)
    }

    /// Decrypts what was sealed for the same context.
    ///
    /// - Throws: `malformedEnvelope`, `unknownKey` or `authenticationFailed`.
    package func open(_ envelope: String, context: SealingContext) throws(CryptographyError) -> [UInt8] {
        let (header, id, payload) = try Self.split(envelope)
        guard let key = key(id) else { throw .unknownKey(id: id) }
        return try AES256GCM.open(
            Array(payload.dropFirst(AES256GCM.nonceByteCount)), key: key,
            nonce: Array(payload.prefix(AES256GCM.nonceByteCount)), associatedData: Self.associatedData(header, context)
        )
    }

    /// A key for another use, derived from the key that seals; each use, and each sealing key, has its own.
    package func subkey(for use: String) -> [UInt8] {
        let key = state.withLock { $0.keys.keys[$0.keys.currentID] }
        return HKDF.derive(from: key ?? [], info: Array(use.utf8), count: AES256GCM.keyByteCount)
    }

    private func key(_ id: String) -> [UInt8]? {
        let now = ContinuousClock.now
        let (key, source): ([UInt8]?, (@Sendable () -> Keyring?)?) = state.withLock { state in
            if let key = state.keys.keys[id] { return (key, nil) }
            guard let source = state.source else { return (nil, nil) }
            if let asked = state.askedAt, now < asked + .seconds(1) { return (nil, nil) }
            state.askedAt = now
            return (nil, source)
        }
        guard let source, let newer = source() else { return key }
        replace(with: newer)
        return state.withLock { $0.keys.keys[id] }
    }

    /// Whether the envelope was sealed with a key that no longer seals, and is due to be sealed anew.
    package func isOutdated(_ envelope: String) throws(CryptographyError) -> Bool {
        try Self.split(envelope).id != currentID
    }

    private static func split(
        _ envelope: String
    ) throws(CryptographyError) -> (header: String, id: String, payload: [UInt8]) {
        let parts = envelope.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == version, isValidID(String(parts[1])),
            let payload = Base64URL.decode(parts[2]),
            payload.count >= AES256GCM.nonceByteCount + AES256GCM.tagByteCount
        else { throw .malformedEnvelope }
        return (parts[0] + "." + parts[1], String(parts[1]), payload)
    }

    private static func associatedData(_ header: String, _ context: SealingContext) -> [UInt8] {
        SealingContext(header).bytes + context.bytes
    }

    private static func isValidID(_ id: String) -> Bool {
        (1...64).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
