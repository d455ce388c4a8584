// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What a key may hold: how it is read, how it is shown, and what to say of anything else.
struct ConfigurationType<Value: Sendable>: Sendable {
    /// Completes "expected ..." and stands in the reference: "an integer from 1 to 65535".
    let name: String
    /// Secrets are masked wherever the configuration is shown.
    var isSecret = false
    let parse: @Sendable (ConfigurationNode) -> Value?
    let dump: @Sendable (Value) -> JSON
}

extension ConfigurationNode {
    fileprivate var text: String? {
        if case .text(let text) = value { return text }
        return nil
    }

    fileprivate var integer: Int? {
        switch value {
        case .integer(let integer): integer
        case .text(let text) where isLoose: Int(text)
        default: nil
        }
    }
}

extension ConfigurationType where Value == Bool {
    static let boolean = ConfigurationType(
        name: "true or false",
        parse: { node in
            switch node.value {
            case .boolean(let value): value
            case .text(let text) where node.isLoose:
                ["true": true, "1": true, "yes": true, "false": false, "0": false, "no": false][text.lowercased()]
            default: nil
            }
        },
        dump: { .bool($0) })
}

extension ConfigurationType where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> ConfigurationType {
        ConfigurationType(
            name: range.upperBound == .max
                ? "an integer from \(range.lowerBound)"
                : "an integer from \(range.lowerBound) to \(range.upperBound)",
            parse: { $0.integer.flatMap { range.contains($0) ? $0 : nil } },
            dump: { JSON($0) })
    }

    /// A TCP port; `allowsNone` takes 0 for "not served".
    static let port = ConfigurationType.integer(1...65535)

    /// Bytes, as a number or with a unit.
    static func size(_ range: ClosedRange<Int>) -> ConfigurationType {
        let upper = range.upperBound == .max ? "" : " to \(ByteSize.describe(range.upperBound))"
        return ConfigurationType(
            name: "a size such as \"50MiB\", from \(ByteSize.describe(range.lowerBound))\(upper)",
            parse: { node in
                (node.integer ?? node.text.flatMap(ByteSize.parse)).flatMap { range.contains($0) ? $0 : nil }
            },
            dump: { .string(ByteSize.describe($0)) })
    }
}

extension ConfigurationType where Value == Duration {
    /// Text in Go's form.
    static func duration(_ range: ClosedRange<Duration> = .zero...(.seconds(100 * 366 * 86_400))) -> ConfigurationType {
        let bounds =
            range.upperBound > .seconds(99 * 365 * 86_400)
            ? (range.lowerBound == .zero ? "" : ", at least \(GoDuration.describe(range.lowerBound))")
            : ", from \(GoDuration.describe(range.lowerBound)) to \(GoDuration.describe(range.upperBound))"
        return ConfigurationType(
            name: "a duration such as \"1h30m\" or \"5s\"\(bounds)",
            parse: { $0.text.flatMap(GoDuration.parse).flatMap { range.contains($0) ? $0 : nil } },
            dump: { .string(GoDuration.describe($0)) })
    }

    /// A whole number of seconds.
    static func seconds(_ range: ClosedRange<Int>) -> ConfigurationType {
        ConfigurationType(
            name: "a number of seconds from \(range.lowerBound) to \(range.upperBound)",
            parse: { $0.integer.flatMap { range.contains($0) ? .seconds($0) : nil } },
            dump: { JSON($0.components.seconds) })
    }
}

extension ConfigurationType where Value == String {
    static let text = ConfigurationType(name: "a string", parse: { $0.text }, dump: { .string($0) })

    /// A string that some condition holds for.
    static func text(_ name: String, where isValid: @escaping @Sendable (String) -> Bool) -> ConfigurationType {
        ConfigurationType(name: name, parse: { $0.text.flatMap { isValid($0) ? $0 : nil } }, dump: { .string($0) })
    }

    static let url = ConfigurationType.text("an address such as \"https://example.com\"") { text in
        guard let scheme = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1).first else { return false }
        return text.contains("://") && !scheme.isEmpty && !text.contains { $0.isWhitespace }
    }

    static let httpURL = ConfigurationType.text("an http:// or https:// address") { text in
        (text.hasPrefix("http://") || text.hasPrefix("https://")) && !text.contains { $0.isWhitespace }
            && !text.hasSuffix("://")
    }

    /// A PostgreSQL setting, which may be written as text, a number or a boolean.
    static let setting = ConfigurationType(
        name: "a string, a number or a boolean",
        parse: { node in
            switch node.value {
            case .text(let text): text
            case .integer(let integer): String(integer)
            case .float(let number): String(number)
            case .boolean(let value): value ? "on" : "off"
            default: nil
            }
        },
        dump: { .string($0) })
}

extension ConfigurationType where Value == SecretString {
    /// Shown in place of a secret that is set.
    static var mask: JSON { "********" }

    static let secret = ConfigurationType(
        name: "a string", isSecret: true, parse: { $0.text.map { SecretString($0) } }, dump: { _ in mask })

    static func secret(_ name: String, where isValid: @escaping @Sendable (String) -> Bool) -> ConfigurationType {
        ConfigurationType(
            name: name, isSecret: true,
            parse: { $0.text.flatMap { isValid($0) ? SecretString($0) : nil } }, dump: { _ in mask })
    }
}

extension ConfigurationType where Value == [String] {
    static let texts = ConfigurationType.list(of: .text, name: "an array of strings")

    static func texts(_ name: String, where isValid: @escaping @Sendable (String) -> Bool) -> ConfigurationType {
        .list(of: .text(name, where: isValid), name: name)
    }
}

extension ConfigurationType where Value == [SecretString] {
    static let secrets = ConfigurationType.list(of: .secret, name: "an array of strings")
}

extension ConfigurationType {
    /// An array; where only text can be written, its elements stand between commas.
    fileprivate static func list<Element>(
        of element: ConfigurationType<Element>, name: String
    ) -> ConfigurationType<[Element]> where Value == [Element] {
        ConfigurationType(
            name: name, isSecret: element.isSecret,
            parse: { node in
                let nodes: [ConfigurationNode]
                switch node.value {
                case .array(let elements): nodes = elements
                case .text(let text) where node.isLoose:
                    nodes = text.split(separator: ",").map { part in
                        let trimmed = part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
                        return ConfigurationNode(value: .text(String(trimmed)), origin: node.origin)
                    }
                default: return nil
                }
                let values = nodes.compactMap(element.parse)
                return values.count == nodes.count ? values : nil
            },
            dump: { .array($0.map(element.dump)) })
    }
}

extension ConfigurationType where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the raw values of an enumeration.
    static var choice: ConfigurationType {
        ConfigurationType(
            name: "one of " + Value.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "),
            parse: { $0.text.flatMap(Value.init(rawValue:)) },
            dump: { .string($0.rawValue) })
    }
}
