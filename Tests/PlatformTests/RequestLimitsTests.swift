// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Platform
import Primitives
import Testing

@Suite struct RequestLimitsTests {
    private static let limit = TokenBucketLimit(count: 60, interval: .seconds(60), burst: 2)

    private static func person(_ user: UUID, in tenant: UUID) -> Principal {
        Principal(
            role: .authenticated,
            verified: JWTClaims([
                "sub": .string(user.description), "role": "authenticated",
                "app_metadata": ["tenant_id": .string(tenant.description)],
            ]))
    }

    @Test func onePersonsRequestsAreNotAnothers() {
        let limits = RequestLimits(people: Self.limit, tenants: nil, maxKeys: 100)
        let ann = Self.person(.random(), in: .random())
        let bob = Self.person(.random(), in: .random())
        for _ in 1...2 { #expect(limits.count(ann, now: .zero) == nil) }
        let refusal = limits.count(ann, now: .zero)
        #expect(refusal?.scope == .user)
        #expect(refusal?.wait == .seconds(1))
        #expect(limits.count(bob, now: .zero) == nil)
        #expect(limits.count(ann, now: .seconds(1)) == nil)
    }

    @Test func thePeopleOfATenantShareItsLimit() {
        let limits = RequestLimits(people: nil, tenants: Self.limit, maxKeys: 100)
        let tenant = UUID.random()
        for _ in 1...2 { #expect(limits.count(Self.person(.random(), in: tenant), now: .zero) == nil) }
        #expect(limits.count(Self.person(.random(), in: tenant), now: .zero)?.scope == .tenant)
        #expect(limits.count(Self.person(.random(), in: .random()), now: .zero) == nil)
    }

    @Test func visitorsAndTheServiceKeyAreNotCounted() {
        let limits = RequestLimits(people: Self.limit, tenants: Self.limit, maxKeys: 100)
        for role in [Role.anon, .serviceRole] {
            for _ in 1...10 { #expect(limits.count(Principal(role: role), now: .zero) == nil) }
        }
    }

    @Test func aRequestTooManyIsToldWhenToComeAgain() throws {
        let codec = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32))))
        let access = AccessControl(tokens: codec, publishableKeys: [], secretKeys: [])
        let token = try codec.sign(["sub": .string(UUID.random().description), "role": "authenticated"])
        let limits = RequestLimits(
            people: TokenBucketLimit(count: 1, interval: .seconds(60), burst: 1), tenants: nil, maxKeys: 100)
        let loop = try Loop()
        for field in ["authorization", "api-key"] {
            var headers = HTTPHeaders()
            headers.append(field, field == "api-key" ? token : "Bearer \(token)")
            let request = HTTPRequest(.get, "/rest/v1/things", headers: headers, loop: loop)
            let refusal = limits.refusal(of: request, access)
            // The same person by either way.
            #expect((refusal == nil) == (field == "authorization"))
            if let refusal {
                #expect(refusal.status == .tooManyRequests)
                #expect(refusal.headers["retry-after"] == "60")
            }
        }
        // Who is nobody is refused by the service, not here.
        var headers = HTTPHeaders()
        headers.append("authorization", "Bearer nonsense")
        #expect(limits.refusal(of: HTTPRequest(.get, "/", headers: headers, loop: loop), access) == nil)
    }
}
