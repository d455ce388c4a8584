// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Processes
import Testing

@testable import Platform

private import class Foundation.FileManager
private import func Foundation.NSTemporaryDirectory

@Suite struct SigningKeyFileTests {
    private static let sharedSecret = Array("a secret of many characters for all".utf8)

    /// A key with further members.
    private static func key(
        _ id: String, _ algorithm: JWTAlgorithm = .es256, _ members: JSONObject = [:], isPublic: Bool = false
    ) throws -> JSON {
        var jwk = try #require(try JWTKey.generateJWK(for: algorithm).objectValue)
        jwk["kid"] = .string(id)
        for member in members { jwk[member.name] = member.value }
        if isPublic { for name in ["d", "p", "q", "dp", "dq", "qi"] { jwk[name] = nil } }
        return .object(jwk)
    }

    private func withFile<T>(_ text: String?, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "keys-" + UUID.random().description + ".json"
        if let text { try FileSystem.write(text, to: path, mode: 0o600) }
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func read(_ text: String) throws -> SigningKeyFile {
        try withFile(text) { try SigningKeyFile(reading: $0) }
    }

    @Test(arguments: [
        "", "{}", "[]", "[1]", "[{}]", #"[{"kid":"a"}]"#, #"[{"kid":"a","kty":"EC"}]"#,
        #"[{"kid":"a","kty":"oct","k":"c2hvcnQ"}]"#,
    ])
    func refusesWhatHoldsNoKeyToSignWith(_ text: String) {
        #expect(throws: ProjectError.self) { try read(text) }
    }

    @Test func refusesAFileThatIsNotThere() {
        #expect(throws: ProjectError.self) { try withFile(nil) { try SigningKeyFile(reading: $0) } }
    }

    @Test func refusesKeysThatContradictEachOther() throws {
        let current: JSONObject = ["status": "current"]
        let cases: [[JSON]] = [
            [try Self.key("a"), try Self.key("a")],
            [try Self.key("a", .es256, current), try Self.key("b", .es256, current)],
            [try Self.key("a", .es256, ["status": "retired"])],
            [try Self.key("a", .es256, ["status": "revoked"])],
            [try Self.key("a", .es256, isPublic: true)],
            [try Self.key("a", .es256, ["alg": "RS256"])],
        ]
        for keys in cases { #expect(throws: ProjectError.self) { try read(JSON.array(keys).text) } }
    }

    @Test func theFirstOfAFileOfTheSupabaseCLISigns() throws {
        let keys = [try Self.key("a", .rs256), try Self.key("b"), try Self.key("c", isPublic: true)]
        let file = try read(JSON.array(keys).text)
        #expect(file.entries.map(\.status) == [.current, .standby, .previouslyUsed])
        #expect(try file.keySet(sharedSecret: Self.sharedSecret).signingKey.id == "a")
    }

    @Test func aKeyIsPublishedThenSignsThenVerifiesThenIsRevoked() throws {
        try withFile(nil) { path in
            var file = SigningKeyFile(emptyAt: path)
            try file.append(try Self.key("old", .rs256))
            try file.append(try Self.key("new"))
            func codec() throws -> JWTCodec {
                try file.write()
                return JWTCodec(
                    keys: try SigningKeyFile(reading: path).keySet(sharedSecret: Self.sharedSecret))
            }
            func published() throws -> [String] {
                try codec().keys.publicJWKS["keys"]?.arrayValue?.compactMap { $0["kid"]?.stringValue } ?? []
            }
            let apiKey = try JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: Self.sharedSecret)))
                .sign(["role": "anon"])
            let first = try codec().sign(["sub": "a"])
            #expect(try published() == ["old", "new"])
            #expect(throws: ProjectError.self) { try file.revoke("old") }
            #expect(throws: ProjectError.self) { try file.revoke("none") }

            #expect(try file.rotate() == "new")
            let second = try codec().sign(["sub": "b"])
            #expect(try codec().verify(first).subject == "a")
            #expect(try codec().verify(second).subject == "b")
            #expect(throws: ProjectError.self) { try file.rotate() }

            try file.revoke("old")
            #expect(throws: JWTError.unknownKey) { try codec().verify(first) }
            #expect(try codec().verify(second).subject == "b")
            #expect(try codec().verify(apiKey).role == "anon")
            #expect(try published() == ["new"])
            #expect(FileSystem.attributes(path)?.mode == 0o600)
        }
    }

    @Test func nothingSecretIsPublished() throws {
        let keys = [
            try Self.key("a"), try Self.key("b", .rs256),
            ["kid": "c", "kty": "oct", "k": .string(Base64URL.encode(randomBytes(32)))],
        ]
        let published = try read(JSON.array(keys).text).keySet(sharedSecret: Self.sharedSecret).publicJWKS
        let jwks = try #require(published["keys"]?.arrayValue)
        #expect(jwks.compactMap { $0["kid"]?.stringValue } == ["a", "b"])
        for jwk in jwks {
            for secret in ["d", "p", "q", "dp", "dq", "qi", "k", "status"] { #expect(jwk[secret] == nil) }
            #expect(jwk["use"] == "sig")
        }
    }
}
