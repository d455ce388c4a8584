// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension PostgresQuery {
    /// The statement with its values as constants in the text, as a parameter of its own: for a function that runs what it is given. Types
    /// are inferred as they are for binds.
    ///
    /// - Throws: ``PostgresError`` with `misuse` for a bind in binary form that is no `bytea`, which has no text form here, and for a bind
    ///   without a value.
    package func withLiterals() throws(PostgresError) -> PostgresParameter {
        PostgresParameter(bytes: try literalText())
    }

    /// The same as text, for statements that take no binds (`copy`).
    package func inlined() throws(PostgresError) -> String {
        String(decoding: try literalText(), as: UTF8.self)
    }

    private func literalText() throws(PostgresError) -> [UInt8] {
        var lexer = SQLLexer(sql)
        var text: [UInt8] = []
        text.reserveCapacity(lexer.bytes.count + 64)
        while let token = lexer.next() {
            guard case .bind(let number) = token.kind else {
                text.append(contentsOf: lexer.bytes[token.range])
                continue
            }
            guard parameters.indices.contains(number - 1) else {
                throw PostgresError(.misuse, "the query has no value for $\(number)")
            }
            try parameters[number - 1].appendLiteral(to: &text)
        }
        return text
    }
}

extension PostgresParameter {
    fileprivate func appendLiteral(to text: inout [UInt8]) throws(PostgresError) {
        switch value {
        case .null: text += Array(" null ".utf8)
        case .text(let value): Self.appendConstant(Array(value.utf8), to: &text)
        case .bytes(let bytes): Self.appendConstant(bytes, to: &text)
        case .binary(let bytes):
            guard type == PostgresType.bytea else {
                throw PostgresError(.misuse, "a bind in binary form has no constant")
            }
            Self.appendConstant(Array("\\x\(Hex.encode(bytes))".utf8), to: &text)
            text += Array("::bytea ".utf8)
        }
    }

    /// As ``quoteLiteral(_:)``, for bytes that are passed on as they are.
    private static func appendConstant(_ bytes: [UInt8], to text: inout [UInt8]) {
        let quote = UInt8(ascii: "'")
        let backslash = UInt8(ascii: "\\")
        let isEscaped = bytes.contains(backslash)
        text.reserveCapacity(text.count + bytes.count + 8)
        text += Array(isEscaped ? " E'".utf8 : " '".utf8)
        for byte in bytes {
            if byte == quote || byte == backslash { text.append(byte) }
            text.append(byte)
        }
        text.append(quote)
    }
}
