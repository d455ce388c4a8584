// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// The functions of Go's templates.
enum TemplateFunction {
    static func call(_ name: String, _ arguments: [JSON], line: Int) throws(MailError) -> JSON {
        guard arity(name).contains(arguments.count) else {
            throw .invalidTemplate(line: line, reason: "\(name) takes another number of arguments")
        }
        switch name {
        case "and": return arguments.first { !$0.isTrueInTemplate } ?? arguments[arguments.count - 1]
        case "or": return arguments.first { $0.isTrueInTemplate } ?? arguments[arguments.count - 1]
        case "not": return .bool(!arguments[0].isTrueInTemplate)
        case "eq": return .bool(arguments.dropFirst().contains { isEqual(arguments[0], $0) })
        case "ne": return .bool(!isEqual(arguments[0], arguments[1]))
        case "lt", "le", "gt", "ge": return .bool(try compare(name, arguments[0], arguments[1], line))
        case "len": return try length(arguments[0], line)
        case "index": return arguments.dropFirst().reduce(arguments[0], element)
        case "print": return .string(arguments.map(\.templateText).joined())
        case "println": return .string(arguments.map(\.templateText).joined(separator: " ") + "\n")
        case "printf": return .string(format(arguments[0].templateText, Array(arguments.dropFirst())))
        case "html": return .string(HTMLContext.escapeText(arguments.map(\.templateText).joined()))
        case "urlquery": return .string(HTMLContext.escapeQuery(arguments.map(\.templateText).joined()))
        case "js": return .string(escapeScript(arguments.map(\.templateText).joined()))
        default: throw .invalidTemplate(line: line, reason: "unknown function \(name)")
        }
    }

    /// How many arguments a function takes.
    private static func arity(_ name: String) -> ClosedRange<Int> {
        switch name {
        case "and", "or", "printf": 1...100
        case "not", "len": 1...1
        case "eq": 2...100
        case "ne", "lt", "le", "gt", "ge": 2...2
        case "index": 1...10
        default: 0...100
        }
    }

    private static func isEqual(_ left: JSON, _ right: JSON) -> Bool {
        if let left = left.doubleValue, let right = right.doubleValue { return left == right }
        // What is missing equals the empty text: data without a member and with an empty one look alike.
        return left == right || (left.isNull && right == "") || (left == "" && right.isNull)
    }

    private static func compare(_ name: String, _ left: JSON, _ right: JSON, _ line: Int) throws(MailError) -> Bool {
        let order: Int
        if let left = left.doubleValue, let right = right.doubleValue {
            order = left < right ? -1 : left > right ? 1 : 0
        } else if let left = left.stringValue, let right = right.stringValue {
            order = left < right ? -1 : left > right ? 1 : 0
        } else {
            throw .invalidTemplate(line: line, reason: "\(name) compares two numbers or two texts")
        }
        switch name {
        case "lt": return order < 0
        case "le": return order <= 0
        case "gt": return order > 0
        default: return order >= 0
        }
    }

    private static func length(_ value: JSON, _ line: Int) throws(MailError) -> JSON {
        switch value {
        case .null: return 0
        case .string(let text): return JSON(text.utf8.count)
        case .array(let values): return JSON(values.count)
        case .object(let members): return JSON(members.count)
        case .bool, .number: throw .invalidTemplate(line: line, reason: "len of what has none")
        }
    }

    private static func element(of value: JSON, at key: JSON) -> JSON {
        if let position = key.intValue { return value[position] ?? .null }
        return key.stringValue.flatMap { value[$0] } ?? .null
    }

    /// `%s`, `%v`, `%d`, `%t` print a value, `%q` quotes it.
    private static func format(_ format: String, _ arguments: [JSON]) -> String {
        var result = ""
        var rest = arguments[...]
        var characters = format.makeIterator()
        while let character = characters.next() {
            guard character == "%" else {
                result.append(character)
                continue
            }
            guard let verb = characters.next() else { break }
            switch verb {
            case "%": result += "%"
            case "q": result += JSON.string(rest.popFirst()?.templateText ?? "").text
            default: result += rest.popFirst()?.templateText ?? ""
            }
        }
        return result
    }

    private static func escapeScript(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "\\": result += "\\\\"
            case "'": result += "\\'"
            case "\"": result += "\\\""
            case "<", ">", "&", "=": result += "\\u00" + Hex.encode([UInt8(scalar.value)])
            case _ where scalar.value < 0x20: result += "\\u00" + Hex.encode([UInt8(scalar.value)])
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
