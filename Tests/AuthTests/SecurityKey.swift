// SPDX-License-Identifier: Apache-2.0
@testable import Cryptography
import Primitives
import Testing

/// A security key made of code, and the browser in front of it: what they say can be bent in every way.
final class SecurityKey: Sendable {
    /// What is otherwise than it should be.
    struct Bend: Sendable {
        var type: String?
        var challenge: String?
        var origin = "http://127.0.0.1:3000"
        var crossOrigin: Bool?
        var relyingParty = "127.0.0.1"
        /// User present.
        var flags: UInt8 = 1
        var algorithm: Int64 = -7
        var id: [UInt8]?
        var userHandle: [UInt8]?
        /// After the authenticator's data.
        var trailing: [UInt8] = []
        /// Changes the signature, or what is signed.
        var isForged = false

        init() {}
    }

    let id: [UInt8]
    private let key: PublicKeyPair
    private let x: [UInt8]
    private let y: [UInt8]

    init() throws {
        let jwk = try JWTKey.generateJWK(for: .es256)
        key = try PublicKeyPair(ellipticCurveJWK: jwk)
        x = try #require(jwk["x"]?.stringValue.flatMap { Base64URL.decode($0) })
        y = try #require(jwk["y"]?.stringValue.flatMap { Base64URL.decode($0) })
        id = randomBytes(32)
    }

    // MARK: What it is asked

    /// Makes a key for the options of a challenge.
    func create(_ options: JSON?, count: UInt32 = 0, _ bend: Bend = Bend()) throws -> JSON {
        let client = try clientData("webauthn.create", options, bend)
        let credential =
            [UInt8](repeating: 7, count: 16) + [0, UInt8(id.count)] + id + publicKey(bend.algorithm)
        let data = authenticatorData(bend, count, isAttested: true) + credential + bend.trailing
        let object =
            Self.head(5, 3) + Self.text("fmt") + Self.text("none") + Self.text("attStmt") + Self.head(5, 0)
            + Self.text("authData") + Self.bytes(data)
        return envelope(
            bend,
            [
                "clientDataJSON": .string(Base64URL.encode(client)),
                "attestationObject": .string(Base64URL.encode(object)),
                "transports": ["usb", "telepathy"],
            ])
    }

    /// Signs for the options of a challenge.
    func get(_ options: JSON?, count: UInt32 = 0, _ bend: Bend = Bend()) throws -> JSON {
        let client = try clientData("webauthn.get", options, bend)
        let data = authenticatorData(bend, count, isAttested: false) + bend.trailing
        let signed = data + digest(bend.isForged ? Array("something else".utf8) : client)
        let signature = try #require(PublicKeyPair.der(ofHalves: try key.sign(signed), byteCount: 32))
        var response: JSONObject = [
            "clientDataJSON": .string(Base64URL.encode(client)), "authenticatorData": .string(Base64URL.encode(data)),
            "signature": .string(Base64URL.encode(signature)),
        ]
        if let handle = bend.userHandle { response["userHandle"] = .string(Base64URL.encode(handle)) }
        return envelope(bend, response)
    }

    // MARK: What it says

    private func clientData(_ type: String, _ options: JSON?, _ bend: Bend) throws -> [UInt8] {
        let challenge = try bend.challenge ?? #require(options?["publicKey"]?["challenge"]?.stringValue)
        var members: JSONObject = [
            "type": .string(bend.type ?? type), "challenge": .string(challenge), "origin": .string(bend.origin),
        ]
        if let crossOrigin = bend.crossOrigin { members["crossOrigin"] = .bool(crossOrigin) }
        return JSON.object(members).encoded()
    }

    private func authenticatorData(_ bend: Bend, _ count: UInt32, isAttested: Bool) -> [UInt8] {
        digest(bend.relyingParty.utf8) + [bend.flags | (isAttested ? 0x40 : 0)]
            + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
    }

    private func envelope(_ bend: Bend, _ response: JSONObject) -> JSON {
        let id = Base64URL.encode(bend.id ?? id)
        return ["id": .string(id), "rawId": .string(id), "type": "public-key", "response": .object(response)]
    }

    private func publicKey(_ algorithm: Int64) -> [UInt8] {
        Self.head(5, 5) + [0x01, 0x02, 0x03] + Self.head(1, UInt64(-1 - algorithm)) + [0x20, 0x01, 0x21]
            + Self.bytes(x) + [0x22] + Self.bytes(y)
    }

    // MARK: CBOR

    private static func head(_ kind: UInt8, _ argument: UInt64) -> [UInt8] {
        switch argument {
        case 0..<24: [kind << 5 | UInt8(argument)]
        case 24..<256: [kind << 5 | 24, UInt8(argument)]
        default: [kind << 5 | 25, UInt8(truncatingIfNeeded: argument >> 8), UInt8(truncatingIfNeeded: argument)]
        }
    }

    private static func bytes(_ bytes: [UInt8]) -> [UInt8] { head(2, UInt64(bytes.count)) + bytes }
    private static func text(_ text: String) -> [UInt8] { head(3, UInt64(text.utf8.count)) + Array(text.utf8) }
}
