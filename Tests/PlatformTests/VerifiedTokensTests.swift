// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Primitives
import Testing

@testable import Platform

@Suite("VerifiedTokens")
struct VerifiedTokensTests {
    static let codec = JWTCodec(
        keys: KeySet(signingKey: JWTKey(sharedSecret: Array("a secret of many characters".utf8))))

    @Test func keepsWithinItsBoundAndForgetsTheUnused() {
        let tokens = VerifiedTokens(maxEntries: 8)
        for number in 0..<100 {
            tokens.insert(.init(JWTClaims(["role": "authenticated"])), "token \(number)")
            // One that is asked for again and again stays.
            if number == 0 { continue }
            #expect(tokens.token("token 0") != nil)
        }
        #expect(tokens.count <= 8)
        #expect(tokens.token("token 50") == nil)
        #expect(tokens.token("token 99") != nil)
    }

    @Test func longTokensTakeTheRoomOfManyShortOnes() {
        let tokens = VerifiedTokens(maxEntries: 100, maxBytes: 1000)
        for number in 0..<50 {
            tokens.insert(.init(JWTClaims(["role": "anon"])), "\(number) " + String(repeating: "x", count: 200))
            // The same once more takes no more room.
            tokens.insert(.init(JWTClaims(["role": "anon"])), "\(number) " + String(repeating: "x", count: 200))
        }
        #expect(tokens.count <= 4)
        #expect(tokens.token("49 " + String(repeating: "x", count: 200)) != nil)
        tokens.insert(.init(JWTClaims(["role": "anon"])), String(repeating: "y", count: 501))
        #expect(tokens.token(String(repeating: "y", count: 501)) == nil)
    }

    @Test func aKnownTokenStillExpires() async throws {
        let access = AccessControl(
            tokens: Self.codec, publishableKeys: [SecretString("sb_publishable_x")], secretKeys: [])
        let now = Timestamp.now()
        let token = try Self.codec.sign(["role": "authenticated", "exp": JSON(now.unixSeconds + 60)])
        let outcome = try await Loop.withLoop { loop in
            let request = HTTPRequest(
                .get, "/", headers: ["apikey": "sb_publishable_x", "Authorization": "Bearer \(token)"], loop: loop)
            let first = try access.principal(for: request, now: now).role
            do {
                _ = try access.principal(for: request, now: Timestamp(unixSeconds: now.unixSeconds + 120))
                return (first, AccessError?.none)
            } catch {
                return (first, error as? AccessError)
            }
        }
        #expect(outcome.0 == .authenticated)
        #expect(outcome.1 == .invalidToken(.expired))
    }

    @Test func aTokenWithAnotherSignatureIsNotTheKnownOne() async throws {
        let access = AccessControl(
            tokens: Self.codec, publishableKeys: [SecretString("sb_publishable_x")], secretKeys: [])
        let token = try Self.codec.sign(["role": "service_role"])
        let forged = String(token.dropLast(4)) + "AAAA"
        let roles = try await Loop.withLoop { loop in
            func principal(_ token: String) throws -> Principal {
                try access.principal(
                    for: HTTPRequest(
                        .get, "/", headers: ["apikey": "sb_publishable_x", "Authorization": "Bearer \(token)"],
                        loop: loop))
            }
            let before = try principal(token).role
            #expect(throws: AccessError.invalidToken(.badSignature)) { try principal(forged) }
            return [before, try principal(token).role]
        }
        #expect(roles == [.serviceRole, .serviceRole])
    }
}
