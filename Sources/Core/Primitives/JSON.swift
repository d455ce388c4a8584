// SPDX-License-Identifier: Apache-2.0

/// A JSON value (RFC 8259).
///
/// Numbers keep their source text, so that a value passes through unchanged whatever its size or precision. Equality
/// compares that text: `1` and `1.0` differ.
package enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

extension JSON {
    package var isNull: Bool { self == .null }

    package var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    package var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The number as an integer when it is one exactly (`3`, `3.0`, `3e2`) and fits.
    package var intValue: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
    }

    /// The number as a double, rounded; `nil` for other values and for magnitudes beyond a double.
    package var doubleValue: Double? {
        guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
        return value
    }

    package var arrayValue: [JSON]? {
        if case .array(let values) = self { values } else { nil }
    }

    package var objectValue: JSONObject? {
        if case .object(let members) = self { members } else { nil }
    }

    /// The member of an object; `nil` when the value is no object or has no such member.
    package subscript(name: String) -> JSON? { objectValue?[name] }

    /// The element of an array; `nil` when the value is no array or the index is outside.
    package subscript(index: Int) -> JSON? {
        guard let values = arrayValue, values.indices.contains(index) else { return nil }
        return values[index]
    }

    package init(_ value: some BinaryInteger) { self = .number(String(value)) }

    /// A number, or null when `value` is infinite or not a number, which JSON cannot say.
    package init(_ value: Double) { self = value.isFinite ? .number(value.description) : .null }

    /// The string, or null when there is none.
    package init(_ value: String?) { self = value.map(JSON.string) ?? .null }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self.init(value) }
    package init(floatLiteral value: Double) { self.init(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }

    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements))
    }
}
