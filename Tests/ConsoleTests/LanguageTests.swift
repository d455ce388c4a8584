// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import Primitives
import Testing

@testable import Console

@Suite struct LanguageTests {
    /// A language that nobody speaks: each message stands in brackets, so that what comes from elsewhere shows.
    static let pseudo = Language(
        code: "en-XA", name: "Pseudo",
        texts: Dictionary(
            uniqueKeysWithValues: Message.allCases.map { message in
                (message, message.rawValue.split(separator: "|").map { "⟦\($0)⟧" }.joined(separator: "|"))
            }))

    @Test(arguments: [
        ("", "en"), ("de", "en"), ("en-XA", "en-XA"), ("de, en-XA;q=0.5, en;q=0.4", "en-XA"),
        ("en;q=0.1, en-XA;q=0.9", "en-XA"), ("en-XA;q=0", "en"), (";;;,q=,en;q=x", "en"),
    ])
    func theBrowserChoosesTheLanguage(_ header: String, _ code: String) {
        #expect(Language.preferred(header, of: [.english, Self.pseudo]).code == code)
    }

    @Test func argumentsAreDataAndCountsChooseTheForm() {
        #expect(Language.english.text(.greeting, ["{0} {1}"]) == "Hello, {0} {1}")
        #expect(Language.english.text(.attempts, ["1"]) == "1 attempt")
        #expect(Language.english.text(.attempts, ["3"]) == "3 attempts")
        #expect(Language.english.text(.usedOf, ["1"]) == "1 of {1}")
    }

    @Test func aChoiceIsRemembered() async throws {
        let fixture = ConsoleFixture(languages: [.english, Self.pseudo])
        let chosen = try await fixture.sendForm("/language", "language=en-XA&next=%2Fauth%2Fsignin")
        #expect(chosen.status == 303 && chosen.headers["location"] == "/auth/signin")
        #expect(chosen.headers.values("set-cookie").contains { $0.hasPrefix("atoll-language=en-XA;") })
        let page = try await fixture.send(.get, "/auth/signin", nil, ["Cookie": "atoll-language=en-XA"]).page
        #expect(page.contains("<html lang=\"en-XA\"") && page.contains("⟦Sign in⟧"))
        let refused = try await fixture.sendForm("/language", "language=xx&next=https%3A%2F%2Fevil")
        #expect(refused.headers["location"] == "/" && refused.headers["set-cookie"] == nil)
    }

    // MARK: Files

    @Test(
        arguments: [
            (
                "de", #"{"name": "Deutsch", "texts": {"signIn": "Anmelden", "attempts": "{0} Versuch|{0} Versuche"}}"#,
                nil
            ),
            ("pt-BR", #"{"name": "Português", "plural": "french", "texts": {}}"#, nil),
            ("ja", #"{"name": "日本語", "plural": "none", "texts": {"attempts": "{0} 回"}}"#, nil),
            ("../de", #"{"name": "Deutsch", "texts": {}}"#, "named as in"),
            ("", #"{"name": "Deutsch", "texts": {}}"#, "named as in"),
            ("de", "{", "no JSON"),
            ("de", #"{"texts": {}}"#, "`name`"),
            ("de", #"{"name": "Deutsch"}"#, "`texts`"),
            ("de", #"{"name": "Deutsch", "plural": "two", "texts": {}}"#, "`plural` is one of none, one,"),
            ("de", #"{"name": "Deutsch", "direction": "up", "texts": {}}"#, "`direction`"),
            ("de", #"{"name": "Deutsch", "texts": {"logIn": "x"}}"#, "no message `logIn`"),
            ("de", #"{"name": "Deutsch", "texts": {"signIn": ""}}"#, "`signIn` is no text"),
            ("de", #"{"name": "Deutsch", "texts": {"signIn": "a|b"}}"#, "2 forms"),
            ("de", #"{"name": "Deutsch", "texts": {"attempts": "a|b|c"}}"#, "3 forms"),
            ("de", #"{"name": "Deutsch", "texts": {"greeting": "Hallo {1}"}}"#, "no argument {1}"),
        ] as [(String, String, String?)])
    func aFileIsReadOrItsFaultNamed(_ code: String, _ file: String, _ problem: String?) {
        do throws(LanguageProblem) {
            let language = try Language(code: code, file: file)
            #expect(problem == nil && language.code == code)
        } catch {
            #expect(problem.map { error.description.contains($0) } == true, "\(error)")
        }
    }

    @Test(arguments: [
        ("none", "a", ["a", "a"], [0, 5]), ("french", "a|b", ["a", "a", "b"], [0, 1, 2]),
        ("czech", "a|b|c", ["a", "b", "c", "c"], [1, 4, 5, 0]),
        ("polish", "a|b|c", ["a", "b", "c", "b", "c"], [1, 2, 12, 22, 21]),
        ("slavic", "a|b|c", ["a", "a", "b", "c", "c"], [1, 21, 3, 11, 5]),
        ("arabic", "a|b|c|d|e|f", ["a", "b", "c", "d", "e", "f"], [0, 1, 2, 103, 11, 100]),
    ])
    func countsChooseTheFormThatTheLanguageHasForThem(
        _ plural: String, _ forms: String, _ expected: [String], _ counts: [Int]
    ) throws {
        let file = #"{"name": "X", "plural": "\#(plural)", "texts": {"attempts": "\#(forms)"}}"#
        let language = try Language(code: "xx", file: file)
        #expect(counts.map { language.text(.attempts, ["\($0)"]) } == expected)
    }

    @Test func aFileMakesALanguageOfThePages() async throws {
        let arabic = try Language(
            code: "ar", file: #"{"name": "العربية", "direction": "rtl", "texts": {"signIn": "تسجيل الدخول"}}"#)
        let page = try await ConsoleFixture(languages: [.english, arabic]).send(
            .get, "/auth/signin", nil, ["Accept-Language": "ar"]
        ).page
        #expect(page.contains("<html lang=\"ar\" dir=\"rtl\">") && page.contains("تسجيل الدخول"))
        // What is missing is said in English.
        #expect(page.contains(Message.forgotPassword.rawValue))
    }

    @Test func theCatalogueIsAFileOfItsOwn() throws {
        let language = try Language(code: "en", file: Language.catalogue)
        for message in Message.allCases { #expect(language.text(message, []) == message.rawValue) }
    }

    // MARK: Pages

    /// What an API answers with whose every text is marked as data.
    private static let answers: [String: HTTPResponse] = [
        "/auth/v1/user": .json([
            "id": "«id»", "email": "«email»", "created_at": "2026-11-21T10:00:00Z",
            "app_metadata": ["tenant_id": "«tenant»"],
        ]),
        "/api/user/profile": .json(["profile": ["full_name": "«name»", "subscription_tier": "«plan»"]]),
        "/api/tenants": .json(["tenants": [["id": "«tenant»", "name": "«team»", "role": "owner"]]]),
        "/api/user/api-keys": .json(["apiKeys": [["service_name": "«service»", "is_active": true]]]),
        "/api/members": .json(["members": [["user_id": "«other»", "email": "«email»", "role": "member"]]]),
        "/api/invitations": .json(["invitations": [["id": "«i»", "email": "«email»", "role": "admin"]]]),
        "/auth/v1/user/sessions": .json(["sessions": [["id": "«s»", "user_agent": "", "aal": "aal2"]]]),
        "/api/setup": .json([
            "status": "failed",
            "steps": [["name": "schema", "status": "failed", "error": "«error»", "attempts": 2]],
        ]),
        "/api/usage": .json([
            "plan": ["title": "«plan»"], "used": ["requests": 1],
            "days": [["day": "2026-11-21", "service_name": "«service»", "requests": 1]],
        ]),
        "/api/overview": .json(["overview": ["tables": [["name": "«table»", "rows": 3]]]]),
        "/api/audit": .json(["entries": [["action": "«action»", "at": "2026-11-21T10:00:00Z"]]]),
    ]

    @Test(
        arguments: [
            "/", "/auth/signin", "/auth/signup", "/auth/forgot", "/invitations/accept?token=t", "/dashboard", "/usage",
            "/activity",
            "/setup/review", "/setup/progress",
        ] + SettingsSection.allCases.map(\.path))
    func everyTextOfAPageComesFromTheCatalogue(_ path: String) async throws {
        let isOpen = path == "/" || path.hasPrefix("/auth")
        let page = try await ConsoleFixture(Self.answers, languages: [Self.pseudo]).send(
            .get, path, nil, isOpen ? [:] : ConsoleFixture.signedIn()
        ).page
        #expect(page.contains("⟦"))
        let left = Self.texts(of: page).compactMap { text -> String? in
            var rest = text
            for pattern in [#"⟦[^⟦⟧]*⟧"#, #"«[^»]*»"#, "Atoll", #"\$[0-9.]+"#, #"[0-9.]+ ?([KMGT]iB|B)"#] {
                rest = rest.replacingOccurrences(of: pattern, with: "", options: .regularExpression)
            }
            // An argument may stand between two pieces of a message.
            rest = rest.replacingOccurrences(of: #"⟦[^⟧]*⟧"#, with: "", options: .regularExpression)
            return rest.contains(where: \.isLetter) ? rest : nil
        }
        #expect(left.isEmpty, "\(left)")
    }

    /// The texts between tags, without code and names of services, and what attributes say to people.
    private static func texts(of page: String) -> [String] {
        var page = page
        for pattern in [
            #"<code>[^<]*</code>"#, #"<option value="[a-z]+_?[^"]*"[^>]*>[^<⟦]*</option>"#,
            #"<label for="key\.[^<]*</label>"#, #"<div>Auth &lt;x&gt;</div>"#, #"<span class="avatar[^<]*</span>"#,
        ] {
            page = page.replacingOccurrences(of: pattern, with: "", options: .regularExpression)
        }
        let attributes = try? NSRegularExpression(pattern: #" (?:aria-label|alt|title|placeholder)="([^"]*)""#)
        let range = NSRange(page.startIndex..., in: page)
        var texts = (attributes?.matches(in: page, range: range) ?? []).compactMap { match in
            Range(match.range(at: 1), in: page).map { String(page[$0]) }
        }
        texts += page.replacingOccurrences(of: #"<[^>]*>"#, with: "\u{1}", options: .regularExpression)
            .split(separator: "\u{1}").map(String.init)
        return texts
    }

    @Test func noTextStandsInTheSourceOfAPage() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/Product/Console")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var checked = 0
        while let file = files?.nextObject() as? URL {
            guard file.pathExtension == "swift" else { continue }
            checked += 1
            let source = Self.withoutInterpolations(try String(contentsOf: file, encoding: .utf8))
            // What goes wrong is said by a ``PageRefusal``, whose words are the catalogue's.
            #expect(!source.contains("HTTPError(."), "\(file.lastPathComponent)")
            // A literal given as data or words must hold no word of its own; names and units are listed.
            let literals = source.matches(of: /(?:data: |\.data\(|\.words\()"((?:[^"\\]|\\.)*)"/).map {
                String($0.output.1)
            }
            for literal in literals {
                let plain = literal.replacingOccurrences(of: #"\\."#, with: "", options: .regularExpression)
                let words = plain.split { !$0.isLetter }.filter { !["Atoll", "NULL", "PostgreSQL"].contains($0) }
                #expect(words.isEmpty, "\(file.lastPathComponent): \(literal)")
            }
        }
        #expect(checked > 30)
    }

    /// The source with what literals interpolate taken out.
    private static func withoutInterpolations(_ source: String) -> String {
        var kept = ""
        var depth = 0
        var last: Character = " "
        for character in source {
            if depth > 0 {
                if character == "(" { depth += 1 }
                if character == ")" { depth -= 1 }
            } else if last == "\\", character == "(" {
                kept.removeLast()
                depth = 1
            } else {
                kept.append(character)
            }
            last = character
        }
        return kept
    }

    @Test func textsHaveNoHoles() {
        for message in Message.allCases {
            let text = message.rawValue
            #expect(
                !text.isEmpty && text.first?.isWhitespace == false && text.last?.isWhitespace == false, "\(message)")
            for form in text.split(separator: "|") {
                #expect(form.filter { $0 == "{" }.count == form.filter { $0 == "}" }.count, "\(message)")
            }
        }
    }
}
