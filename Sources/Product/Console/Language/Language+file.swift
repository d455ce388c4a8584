// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What is wrong with the file of a language.
package struct LanguageProblem: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

extension Language {
    /// Which of a text's forms fits a count, by the rules that languages share; the names are those of the files.
    private enum Plurals: String, CaseIterable {
        /// One form for all counts: Chinese, Japanese, Turkish with numbers.
        case none
        /// One, and all others: English, German, Spanish.
        case one
        /// Up to one, and all others: French, Brazilian Portuguese.
        case french
        /// One, two to four, and all others: Czech, Slovak.
        case czech
        /// One; those that end in two to four but twelve to fourteen; all others: Polish.
        case polish
        /// Those that end in one but eleven; in two to four but twelve to fourteen; all others: Russian, Ukrainian, Serbian.
        case slavic
        /// Zero, one, two, those that end in three to ten, in eleven to ninety-nine, all others.
        case arabic

        var forms: Int {
            switch self {
            case .none: 1
            case .one, .french: 2
            case .czech, .polish, .slavic: 3
            case .arabic: 6
            }
        }

        func form(of count: Int) -> Int {
            let ten = count % 10
            let hundred = count % 100
            let isFew = (2...4).contains(ten) && !(12...14).contains(hundred)
            switch self {
            case .none: return 0
            case .one: return count == 1 ? 0 : 1
            case .french: return count <= 1 ? 0 : 1
            case .czech: return count == 1 ? 0 : (2...4).contains(count) ? 1 : 2
            case .polish: return count == 1 ? 0 : isFew ? 1 : 2
            case .slavic: return ten == 1 && hundred != 11 ? 0 : isFew ? 1 : 2
            case .arabic:
                if count <= 2 { return max(0, count) }
                return (3...10).contains(hundred) ? 3 : hundred >= 11 ? 4 : 5
            }
        }
    }

    /// Reads a language from its file: a JSON object with `name`, `plural` (one of `Plurals`), `direction` (`ltr` or `rtl`) and `texts`,
    /// which has messages by their keys. What is missing is said in English.
    ///
    /// - Parameter code: as in BCP 47; the file is named by it.
    /// - Throws: ``LanguageProblem`` for what would show as a fault on a page: unknown keys, too many forms, arguments there are none of.
    package init(code: String, file: String) throws(LanguageProblem) {
        func problem(_ text: String) -> LanguageProblem { LanguageProblem(description: text) }
        let parts = code.split(separator: "-", omittingEmptySubsequences: false)
        guard (2...3).contains(parts[0].count), parts.count <= 4,
            parts.allSatisfy({
                (1...8).contains($0.count) && $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
            })
        else { throw problem("a language is named as in de or pt-BR") }
        let json: JSON
        do { json = try JSON(parsing: file, maxDepth: 4) } catch { throw problem("it is no JSON: \(error)") }
        guard let name = json["name"]?.stringValue, !name.isEmpty else {
            throw problem("`name` is missing: what the language calls itself")
        }
        guard let plurals = Plurals(rawValue: json["plural"]?.stringValue ?? Plurals.one.rawValue) else {
            throw problem("`plural` is one of \(Plurals.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let direction = json["direction"]?.stringValue ?? "ltr"
        guard direction == "ltr" || direction == "rtl" else { throw problem("`direction` is ltr or rtl") }
        guard let given = json["texts"]?.objectValue else { throw problem("`texts` is missing") }
        let messages = Dictionary(uniqueKeysWithValues: Message.allCases.map { ("\($0)", $0) })
        var texts: [Message: String] = [:]
        for (key, value) in given {
            guard let message = messages[key] else { throw problem("there is no message `\(key)`") }
            guard let text = value.stringValue, !text.isEmpty else { throw problem("`\(key)` is no text") }
            let forms = text.split(separator: "|", omittingEmptySubsequences: false).count
            guard forms == 1 || message.rawValue.contains("|") && forms <= plurals.forms else {
                throw problem("`\(key)` has \(forms) forms")
            }
            if let stray = Self.arguments(of: text).subtracting(Self.arguments(of: message.rawValue)).min() {
                throw problem("`\(key)` has no argument {\(stray)}")
            }
            texts[message] = text
        }
        self.init(
            code: code, name: name, isRightToLeft: direction == "rtl", texts: texts,
            pluralForm: { plurals.form(of: $0) })
    }

    /// The numbers in braces.
    private static func arguments(of text: String) -> Set<Int> {
        Set(text.matches(of: /\{(\d+)\}/).compactMap { Int($0.output.1) })
    }

    /// The file of English: what others are translated from.
    package static var catalogue: String {
        let texts = Message.allCases.map { message in
            "    \(JSON.string("\(message)").text): \(JSON.string(message.rawValue).text)"
        }
        return """
            {
              "name": "English",
              "plural": "one",
              "direction": "ltr",
              "texts": {
            \(texts.joined(separator: ",\n"))
              }
            }

            """
    }
}
