// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Foundation
import HTTP
import TestSupport
import Testing

/// The pages about Auth say what the program does.
@Suite struct AuthPageTests {
    private static func page(_ name: String) throws -> [Substring] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/\(name)"), encoding: .utf8)
        return text.split(separator: "\n")
    }

    @Test func everyEndpointIsInTheTableAndNoOther() async throws {
        let written = Set(
            try Self.page("auth.md").compactMap { line -> String? in
                guard let row = line.wholeMatch(of: /\| ([A-Z]+) `([^`]+)` \| (?:served|off).*/) else { return nil }
                return "\(row.output.1) \(row.output.2)"
            })
        try await AuthFixture.run { auth in
            let served = Set(
                auth.routes.filter { $0.pattern.hasPrefix("/auth/v1/") }
                    .map { "\($0.method.rawValue) \($0.pattern.dropFirst("/auth/v1".count))" })
            #expect(written.subtracting(served) == [])
            #expect(served.subtracting(written) == [])
        }
    }

    @Test func whatIsOffSaysSo() async throws {
        try await AuthFixture.run { auth in
            for (method, path, code) in [
                ("POST", "/sso", "saml_provider_disabled"), ("GET", "/passkeys", "passkey_disabled"),
                ("GET", "/oauth/userinfo", "feature_disabled"), ("GET", "/admin/custom-providers", "feature_disabled"),
            ] {
                let answer = try await auth.request(method, path)
                #expect((answer.status, answer.errorCode) == (404, code), "\(path)")
            }
            let web3 = try await auth.request("POST", "/token?grant_type=web3", "{}")
            #expect((web3.status, web3.errorCode) == (422, "web3_provider_disabled"))
        }
    }

    /// What the page claims is shown by tests that are there: suites and files by their names, tests by theirs between backticks.
    @Test func everyTestThatSecurityNamesIsThere() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        var names: Set<String> = []
        for path in try FileManager.default.subpathsOfDirectory(atPath: tests.path) {
            names.insert(path.split(separator: "/").last.map { String($0) } ?? "")
            guard path.hasSuffix(".swift") else { continue }
            let text = try String(contentsOf: tests.appending(path: path), encoding: .utf8)
            names.formUnion(text.matches(of: /(?:func|struct|class|enum) (\w+)/).map { String($0.output.1) })
        }
        for line in try Self.page("security.md") {
            let shown = line.hasPrefix("|") ? line.split(separator: "|").last ?? "" : line
            let suites = shown.matches(of: /\b\w+Tests\b|\btest_\w+\.py\b/).map { String($0.output) }
            // Names in camel case: those of settings, commands and columns are not.
            let functions = shown.matches(of: /`([a-z]+[A-Z]\w*)`/).map { String($0.output.1) }
            for name in suites + functions { #expect(names.contains(name), "\(name)") }
        }
    }

    @Test func everyCodeThatIsAnsweredIsOnThePageOfErrors() throws {
        let page = try Self.page("errors.md").joined(separator: "\n")
        for code in AuthError.Code.allCases {
            #expect(page.contains("| `\(code.rawValue)` |"), "\(code.rawValue)")
        }
    }
}
