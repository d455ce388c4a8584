// SPDX-License-Identifier: Apache-2.0

/// The plain-text form of a mail's HTML: what stays when the markup is gone, with links written out.
enum PlainText {
    /// Reads HTML as a mail's template has it; it need not be well formed.
    static func make(fromHTML html: String) -> String {
        var reader = HTMLTextReader(html)
        return reader.read()
    }

    /// Named character references that mails use; others stay as they are written.
    private static let entities = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "copy": "\u{a9}", "reg": "\u{ae}",
        "ndash": "\u{2013}", "mdash": "\u{2014}", "hellip": "\u{2026}", "rsquo": "\u{2019}", "lsquo": "\u{2018}",
        "ldquo": "\u{201c}", "rdquo": "\u{201d}", "bull": "\u{2022}", "euro": "\u{20ac}", "middot": "\u{b7}",
    ]

    static func decodingEntities(_ text: String) -> String {
        guard text.contains("&") else { return text }
        var result = ""
        var rest = text[...]
        while let mark = rest.firstIndex(of: "&") {
            result += rest[..<mark]
            rest = rest[rest.index(after: mark)...]
            guard let end = rest.prefix(12).firstIndex(of: ";"), let character = character(rest[..<end]) else {
                result += "&"
                continue
            }
            result += character
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private static func character(_ name: Substring) -> String? {
        guard name.hasPrefix("#") else { return entities[String(name)] }
        let digits = name.dropFirst()
        let number =
            digits.first == "x" || digits.first == "X" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        guard let scalar = number.flatMap(Unicode.Scalar.init), scalar.value >= 0x20 else { return nil }
        return String(Character(scalar))
    }
}

private struct HTMLTextReader {
    private var rest: Substring
    private var output = ""
    /// Line ends wanted before the next word.
    private var pendingBreaks = 0
    private var pendingSpace = false
    /// The address of the link being read, and where its text began.
    private var link: (address: String, start: Int)?

    private static let blocks: Set<Substring> = [
        "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "section", "header",
        "footer", "hr", "pre", "article", "center",
    ]
    private static let hidden: Set<Substring> = ["style", "script", "head", "title", "template"]

    init(_ html: String) { rest = html[...] }

    mutating func read() -> String {
        while let character = rest.first {
            if character == "<" { readTag() } else { readText() }
        }
        return output + "\n"
    }

    private mutating func readText() {
        let end = rest.firstIndex(of: "<") ?? rest.endIndex
        let text = PlainText.decodingEntities(String(rest[..<end]))
        rest = rest[end...]
        for character in text {
            if character.isWhitespace, character != "\u{a0}" {
                pendingSpace = true
            } else {
                write(character)
            }
        }
    }

    private mutating func write(_ character: Character) {
        if pendingBreaks > 0, !output.isEmpty {
            output += String(repeating: "\n", count: min(pendingBreaks, 2))
        } else if pendingSpace, !output.isEmpty, output.last != "\n" {
            output += " "
        }
        pendingBreaks = 0
        pendingSpace = false
        output.append(character)
    }

    private mutating func readTag() {
        if rest.hasPrefix("<!--") {
            rest = rest.firstRange(of: "-->").map { rest[$0.upperBound...] } ?? ""
            return
        }
        let tag = takeTag()
        let isEnd = tag.hasPrefix("/")
        let name = Substring(tag.dropFirst(isEnd ? 1 : 0).prefix { $0.isLetter || $0.isNumber }.lowercased())
        // A lone `<` of a text.
        guard !name.isEmpty || tag.hasPrefix("!") else {
            write("<")
            for character in tag { write(character) }
            return
        }
        if Self.hidden.contains(name), !isEnd {
            skip(past: name)
        } else if name == "br" {
            pendingBreaks += 1
        } else if name == "li" {
            if !isEnd {
                pendingBreaks = max(pendingBreaks, 1)
                write("-")
                pendingSpace = true
            }
        } else if name == "tr" {
            pendingBreaks = max(pendingBreaks, 1)
        } else if name == "td" || name == "th" {
            pendingSpace = true
        } else if Self.blocks.contains(name) {
            pendingBreaks = max(pendingBreaks, 2)
        } else if name == "a" {
            if isEnd { endLink() } else { link = (attribute("href", of: tag), output.count) }
        }
    }

    /// Takes a tag with its brackets; a `>` in a quoted attribute does not end it.
    private mutating func takeTag() -> Substring {
        rest = rest.dropFirst()
        var quote: Character?
        var index = rest.startIndex
        while index < rest.endIndex {
            let character = rest[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == ">" {
                defer { rest = rest[rest.index(after: index)...] }
                return rest[..<index]
            }
            index = rest.index(after: index)
        }
        defer { rest = "" }
        return rest
    }

    private mutating func skip(past name: Substring) {
        while let start = rest.firstRange(of: "</") {
            rest = rest[start.upperBound...]
            if rest.prefix(name.count).lowercased() == name {
                rest = rest.firstIndex(of: ">").map { rest[rest.index(after: $0)...] } ?? ""
                return
            }
        }
        rest = ""
    }

    private func attribute(_ name: String, of tag: Substring) -> String {
        guard let range = tag.firstRange(of: name + "=") else { return "" }
        let value = tag[range.upperBound...]
        guard let quote = value.first, quote == "\"" || quote == "'" else {
            return PlainText.decodingEntities(String(value.prefix { !$0.isWhitespace }))
        }
        return PlainText.decodingEntities(String(value.dropFirst().prefix { $0 != quote }))
    }

    /// `text (address)`, or the address alone where it is its own text.
    private mutating func endLink() {
        guard let (address, start) = link else { return }
        link = nil
        guard !address.isEmpty else { return }
        let text = output.suffix(max(0, output.count - start)).trimmingPrefix { $0.isWhitespace }
        if text == address { return }
        pendingSpace = true
        let written = text.isEmpty ? address : "(\(address))"
        for character in written { write(character) }
    }
}
