// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// A value bound to `$n` of a query.
package struct PostgresParameter: Sendable, Hashable {
    enum Value: Sendable, Hashable {
        case null
        case text(String)
        case bytes([UInt8])
        case binary([UInt8])
    }

    let value: Value
    /// The type's OID, or 0 to let the server infer it from where the bind stands.
    let type: UInt32

    private init(_ value: Value, type: UInt32 = 0) {
        self.value = value
        self.type = type
    }

    /// SQL NULL.
    package static let null = PostgresParameter(.null)

    /// The text form of a value whose type the server infers. A NUL character is refused when the query runs.
    package init(text: String) { self.init(.text(text)) }

    /// The text form as UTF-8 bytes, passed on as they are: a request body that is one JSON parameter.
    package init(bytes: [UInt8]) { self.init(.bytes(bytes)) }

    /// The binary form of a value of the type with this OID.
    package init(binary: [UInt8], type: UInt32) { self.init(.binary(binary), type: type) }
}

/// What can be bound in an interpolated ``PostgresQuery``.
package protocol PostgresEncodable {
    /// The value as a parameter.
    var postgresParameter: PostgresParameter { get }
}

extension PostgresParameter: PostgresEncodable {
    package var postgresParameter: PostgresParameter { self }
}

extension String: PostgresEncodable {
    package var postgresParameter: PostgresParameter { PostgresParameter(text: self) }
}

extension Int: PostgresEncodable {
    package var postgresParameter: PostgresParameter { PostgresParameter(text: String(self)) }
}

extension Int64: PostgresEncodable {
    package var postgresParameter: PostgresParameter { PostgresParameter(text: String(self)) }
}

extension Double: PostgresEncodable {
    package var postgresParameter: PostgresParameter {
        // Swift writes `inf` and `nan`, which PostgreSQL reads.
        PostgresParameter(text: description)
    }
}

extension Bool: PostgresEncodable {
    package var postgresParameter: PostgresParameter { PostgresParameter(text: self ? "true" : "false") }
}

extension UUID: PostgresEncodable {
    package var postgresParameter: PostgresParameter { PostgresParameter(text: description) }
}

extension JSON: PostgresEncodable {
    /// As JSON text: JSON's null is `null`, not SQL NULL.
    package var postgresParameter: PostgresParameter { PostgresParameter(bytes: encoded()) }
}

extension Timestamp: PostgresEncodable {
    package var postgresParameter: PostgresParameter { PostgresParameter(text: description) }
}

/// Bytes are `bytea`, texts `text[]`.
extension Array: PostgresEncodable where Element: PostgresArrayElement {
    package var postgresParameter: PostgresParameter { Element.parameter(of: self) }
}

/// What may be the element of a bound array.
package protocol PostgresArrayElement {
    /// The whole array as one parameter.
    static func parameter(of array: [Self]) -> PostgresParameter
}

extension UInt8: PostgresArrayElement {
    package static func parameter(of array: [UInt8]) -> PostgresParameter {
        PostgresParameter(binary: array, type: PostgresType.bytea)
    }
}

extension String: PostgresArrayElement {
    /// An array constant with every element quoted, so that `NULL`, braces and commas are only text.
    package static func parameter(of array: [String]) -> PostgresParameter {
        var text: [UInt8] = [UInt8(ascii: "{")]
        for element in array {
            if text.count > 1 { text.append(UInt8(ascii: ",")) }
            text.append(UInt8(ascii: "\""))
            for byte in element.utf8 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { text.append(UInt8(ascii: "\\")) }
                text.append(byte)
            }
            text.append(UInt8(ascii: "\""))
        }
        text.append(UInt8(ascii: "}"))
        return PostgresParameter(bytes: text)
    }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    package var postgresParameter: PostgresParameter { self?.postgresParameter ?? .null }
}

/// OIDs of built-in types, fixed by `pg_type.dat`.
package enum PostgresType {
    package static let bool: UInt32 = 16
    package static let bytea: UInt32 = 17
    package static let int8: UInt32 = 20
    package static let int4: UInt32 = 23
    package static let text: UInt32 = 25
    package static let json: UInt32 = 114
    package static let jsonb: UInt32 = 3802
    package static let jsonbArray: UInt32 = 3807
    package static let byteaArray: UInt32 = 1001
    package static let uuid: UInt32 = 2950
    package static let timestamptz: UInt32 = 1184
}
