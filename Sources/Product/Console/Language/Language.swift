// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// A language of the pages: what each message is in it.
package struct Language: Sendable {
    /// As in BCP 47.
    let code: String
    /// What the language calls itself.
    let name: String
    /// Whether lines run from the right to the left.
    let isRightToLeft: Bool
    /// What is missing is said in English.
    private let texts: [Message: String]
    /// Which of the forms that a text separates by `|` fits a count.
    private let pluralForm: @Sendable (Int) -> Int

    init(
        code: String, name: String, isRightToLeft: Bool = false, texts: [Message: String],
        pluralForm: @escaping @Sendable (Int) -> Int = { $0 == 1 ? 0 : 1 }
    ) {
        self.code = code
        self.name = name
        self.isRightToLeft = isRightToLeft
        self.texts = texts
        self.pluralForm = pluralForm
    }

    /// The catalogue's own language, complete by construction.
    package static let english = Language(code: "en", name: "English", texts: [:])

    /// The message with `{0}`, `{1}` ... replaced. A text of several forms, separated by `|`, takes the one for its first argument.
    func text(_ message: Message, _ arguments: [String]) -> String {
        var text = texts[message] ?? message.rawValue
        if text.contains("|"), let count = arguments.first.flatMap({ Int($0) }) {
            let forms = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            text = forms[min(max(0, pluralForm(count)), forms.count - 1)]
        }
        guard !arguments.isEmpty, text.contains("{") else { return text }
        var result = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            guard let close = rest[open...].firstIndex(of: "}"),
                let index = Int(rest[rest.index(after: open)..<close]), arguments.indices.contains(index)
            else {
                result.append("{")
                rest = rest[rest.index(after: open)...]
                continue
            }
            result += Self.isolated(arguments[index])
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    /// An argument that runs from the right to the left, or says so by control characters, leaves the text around it as it is: it
    /// stands between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode Standard Annex 9, section 2.4.2).
    private static func isolated(_ argument: String) -> String {
        guard argument.unicodeScalars.contains(where: isDirected) else { return argument }
        let isolates: ClosedRange<Unicode.Scalar> = "\u{2066}"..."\u{2069}"
        let inner = String(String.UnicodeScalarView(argument.unicodeScalars.filter { !isolates.contains($0) }))
        return "\u{2068}\(inner)\u{2069}"
    }

    /// The blocks of scripts from the right to the left, and the characters that control the direction.
    private static func isDirected(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x590...0x8FF, 0xFB1D...0xFDFF, 0xFE70...0xFEFF, 0x10800...0x10FFF, 0x1E800...0x1EFFF: true
        case 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The first of the languages that a browser names and that there is; the first there is when it names none of them.
    ///
    /// - Parameter header: `Accept-Language` (RFC 9110 section 12.5.4).
    static func preferred(_ header: String?, of languages: [Language]) -> Language {
        let wanted = (header ?? "").split(separator: ",").prefix(16).map { part -> (range: String, weight: Double) in
            let pieces = part.split(separator: ";")
            let range = pieces.first.map { $0.filter { $0 != " " }.lowercased() } ?? ""
            let weight = pieces.dropFirst().first { $0.filter { $0 != " " }.hasPrefix("q=") }
                .flatMap { Double($0.filter { $0 != " " }.dropFirst(2)) }
            return (range, weight ?? 1)
        }
        for (range, weight) in wanted.sorted(by: { $0.weight > $1.weight }) where weight > 0 {
            let exact = languages.first { $0.code.lowercased() == range }
            if let found = exact ?? languages.first(where: { $0.matches(range) }) { return found }
        }
        return languages.first ?? .english
    }

    private func matches(_ range: String) -> Bool {
        let code = code.lowercased()
        return range == code || range.hasPrefix(code + "-") || code.hasPrefix(range + "-")
    }
}

/// What a page says: a message of the catalogue, or words that came from elsewhere, such as a service's refusal.
enum Phrase: Sendable {
    case message(Message, [String])
    case words(String)

    static func of(_ message: Message, _ arguments: String...) -> Phrase { .message(message, arguments) }

    func text(in language: Language) -> String {
        switch self {
        case .message(let message, let arguments): language.text(message, arguments)
        case .words(let words): words
        }
    }
}
