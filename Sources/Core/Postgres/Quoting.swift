// SPDX-License-Identifier: Apache-2.0

/// A name as an SQL identifier: always in double quotes, embedded quotes doubled.
///
/// The one function for this in the program. A NUL byte cannot be in a name; PostgreSQL would cut the text there, so that
/// such a query is refused before it is sent.
package func quoteIdentifier(_ name: String) -> String {
    quote(name, UInt8(ascii: "\""))
}

/// A text as an SQL string constant, for the rare utility statement that takes no binds (`create role ... password`).
///
/// Backslashes make it an escape constant, so that it means the same whatever `standard_conforming_strings` is.
package func quoteLiteral(_ text: String) -> String {
    let quoted = quote(text, UInt8(ascii: "'"))
    guard text.utf8.contains(UInt8(ascii: "\\")) else { return quoted }
    var escaped: [UInt8] = Array(" E".utf8)
    for byte in quoted.utf8 {
        if byte == UInt8(ascii: "\\") { escaped.append(byte) }
        escaped.append(byte)
    }
    return String(decoding: escaped, as: UTF8.self)
}

private func quote(_ text: String, _ mark: UInt8) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count + 2)
    bytes.append(mark)
    for byte in text.utf8 {
        if byte == mark { bytes.append(mark) }
        bytes.append(byte)
    }
    bytes.append(mark)
    return String(decoding: bytes, as: UTF8.self)
}
