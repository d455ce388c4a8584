// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import Glibc
import HTTP
import PlatformTestSupport
import Primitives
import Synchronization
import TestSupport
import Testing

@Suite struct PasswordTests {
    /// A folder of its own, removed at the end.
    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/atoll-leaked-XXXXXX".utf8CString)
        let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            if let entries = opendir(folder) {
                while let entry = readdir(entries) {
                    let name = withUnsafeBytes(of: entry.pointee.d_name) {
                        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                    }
                    unlink("\(folder)/\(name)")
                }
                closedir(entries)
            }
            rmdir(folder)
        }
        try await body(folder)
    }

    private static func write(_ path: String, _ text: String) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
    }

    @Test func leakedPasswordsAreFoundInOneFileAndInRanges() async throws {
        let leaked = (0..<5000).map { "leaked-\($0)" }
        let lines = leaked.map { "\(LeakedPasswords.digest(of: $0)):\($0.utf8.count)" }.sorted()
        try await Self.withFolder { folder in
            try Self.write("\(folder)/sorted.txt", lines.joined(separator: "\r\n") + "\r\n")
            let file = LeakedPasswords(path: "\(folder)/sorted.txt")
            for password in leaked { #expect(try file.contains(password), "\(password)") }
            for number in 0..<500 { #expect(try !file.contains("unknown-\(number)")) }

            let digest = LeakedPasswords.digest(of: "leaked-7")
            try Self.write("\(folder)/\(digest.prefix(5))", "\(digest.dropFirst(5).lowercased()):3\r\n")
            let ranges = LeakedPasswords(path: folder)
            #expect(try ranges.contains("leaked-7"))
            #expect(throws: LeakedPasswords.Failure.self) { try ranges.contains("leaked-8") }
            #expect(throws: LeakedPasswords.Failure.self) { try LeakedPasswords(path: "\(folder)/none").contains("x") }
        }
    }

    @Test func leakedPasswordsAreRefusedAndToldAtSignIn() async throws {
        try await Self.withFolder { folder in
            let list = "\(folder)/list"
            try Self.write(list, "\(LeakedPasswords.digest(of: "correct horse")):1\n")
            try await AuthFixture.run {
                $0.leakedPasswords.path = list
            } _: { auth in
                let refused = try await auth.signUp("ada@example.com")
                #expect((refused.status, refused.errorCode) == (422, "weak_password"))
                #expect(refused.json["weak_password"]?["reasons"] == ["pwned"])
                #expect(try await auth.signUp("ada@example.com", password: "another horse").status == 200)
                try await auth.sql(
                    "update auth.users set encrypted_password = '\(try Bcrypt.hash("correct horse", cost: 4))'")
                let session = try await auth.signIn("ada@example.com")
                #expect(session.status == 200)
                #expect(session.json["weak_password"]?["reasons"] == ["pwned"])
            }
        }
    }

    /// A server of ranges as Pwned Passwords is served; `answer` gets the prefix.
    private static func withRanges(
        _ answer: @escaping @Sendable (HTTPRequest, String) -> HTTPResponse,
        _ body: @escaping @Sendable (String) async throws -> Void
    ) async throws {
        try await withLoopbackServer {
            $0.on(.get, "/range/:prefix") { request in answer(request, request.parameters["prefix"] ?? "") }
        } _: {
            try await body($0)
        }
    }

    @Test func aServerOfRangesLearnsFiveDigitsOfTheDigest() async throws {
        let digest = LeakedPasswords.digest(of: "correct horse")
        let asked = Mutex<[String]>([])
        try await Self.withRanges { request, prefix in
            asked.withLock { $0.append(prefix) }
            #expect(request.headers["add-padding"] == "true")
            // Padding is told by a count of nothing.
            let padding = LeakedPasswords.digest(of: "another horse").dropFirst(5)
            let lines = ["0018A45C4D1DEF81644B54AB7F969B88D65:10", "\(padding):0", "\(digest.dropFirst(5)):42"]
            return .text(lines.joined(separator: "\r\n"))
        } _: { url in
            try await AuthFixture.run {
                $0.leakedPasswords.url = url
                $0.leakedPasswords.isRequired = true
            } _: { auth in
                let refused = try await auth.signUp("ada@example.com")
                #expect((refused.status, refused.errorCode) == (422, "weak_password"), "\(refused.text)")
                #expect(refused.json["weak_password"]?["reasons"] == ["pwned"])
                #expect(asked.withLock { $0 } == [String(digest.prefix(5))])
                #expect(try await auth.signUp("ada@example.com", password: "another horse").status == 200)
            }
        }
    }

    @Test(arguments: [false, true])
    func aServerThatIsAwayRefusesNobodyUnlessTheProjectWantsThat(_ isRequired: Bool) async throws {
        let silent = try #require(SilentServer())
        try await Self.withRanges { _, _ in
            .empty(503)
        } _: { url in
            for url in [url, "http://127.0.0.1:\(silent.port)", "http://127.0.0.1:1"] {
                try await AuthFixture.run {
                    $0.leakedPasswords.url = url
                    $0.leakedPasswords.timeout = .milliseconds(200)
                    $0.leakedPasswords.isRequired = isRequired
                } _: { auth in
                    let answer = try await auth.signUp("ada@example.com")
                    #expect(answer.status == (isRequired ? 503 : 200), "\(url) \(answer.text)")
                    if isRequired {
                        #expect(answer.errorCode == "service_unavailable" && answer.headers["retry-after"] != nil)
                        #expect(try await auth.sql("select count(*) from auth.users") == "0")
                        // Whoever has an account gets in all the same.
                        let made: JSON = [
                            "email": "ada@example.com", "email_confirm": true,
                            "password_hash": .string(try Bcrypt.hash("correct horse", cost: 4)),
                        ]
                        #expect(try await auth.administer("POST", "/admin/users", made).status == 200)
                    }
                    let session = try await auth.signIn("ada@example.com")
                    #expect(session.status == 200 && session.json["weak_password"] == nil)
                }
            }
        }
    }

    @Test func attemptsAreLimitedByAccountAndAddress() async throws {
        try await AuthFixture.run {
            $0.rateLimits.set(.passwordAttempt, to: 3)
            $0.rateLimits.set(.passwordAttemptAnywhere, to: 5)
        } _: { auth in
            _ = try await auth.signUp("ada@example.com")
            _ = try await auth.signUp("bob@example.com")
            // The right password is never counted.
            for _ in 0..<5 { #expect(try await auth.signIn("ada@example.com").status == 200) }
            for email in ["ada@example.com", "nobody@example.com"] {
                for _ in 0..<3 { #expect(try await auth.signIn(email, password: "wrong").status == 400) }
                let refused = try await auth.signIn(email, password: "wrong")
                #expect((refused.status, refused.errorCode) == (429, "over_request_rate_limit"), "\(email)")
                #expect(refused.headers["retry-after"] != nil)
            }
            #expect(try await auth.signIn("bob@example.com").status == 200)
        }
    }

    @Test func strangersDoNotLockOutTheAccountsOwnDevices() async throws {
        try await AuthFixture.run {
            $0.rateLimits.set(.passwordAttempt, to: 100)
            $0.rateLimits.set(.passwordAttemptAnywhere, to: 3)
        } _: { auth in
            _ = try await auth.signUp("ada@example.com")
            try await auth.sql("update auth.sessions set ip = '192.0.2.1'")
            for _ in 0..<3 { #expect(try await auth.signIn("ada@example.com", password: "wrong").status == 400) }
            #expect(try await auth.signIn("ada@example.com").status == 429)
            try await auth.sql("update auth.sessions set ip = '127.0.0.1'")
            #expect(try await auth.signIn("ada@example.com").status == 200)
        }
    }

    @Test func everyAnswerTakesOneHash() async throws {
        try await AuthFixture.run {
            $0.areEmailConfirmationsEnabled = true
        } _: { auth in
            _ = try await auth.signUp("ada@example.com")
            try await auth.sql(
                "insert into auth.users (id, email, aud, role) values (gen_random_uuid(), 'none@example.com', 'authenticated', 'authenticated')"
            )
            func hashes(_ body: () async throws -> TestHTTPResponse) async throws -> Int {
                let before = auth.hashCount
                _ = try await body()
                return auth.hashCount - before
            }
            for email in ["ada@example.com", "nobody@example.com", "none@example.com", "no address"] {
                #expect(try await hashes { try await auth.signIn(email, password: "wrong") } == 1, "\(email)")
            }
            for email in ["ada@example.com", "new@example.com"] {
                #expect(try await hashes { try await auth.signUp(email) } == 1, "\(email)")
            }
        }
    }
}
