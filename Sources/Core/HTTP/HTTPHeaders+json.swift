// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension HTTPHeaders {
    /// The fields as a JSON object with names in lower case, for what reads headers from JSON; the values of a repeated field are
    /// joined by ", ". Bytes that are not UTF-8 become U+FFFD.
    package func jsonObject() -> String {
        if addedFields.isEmpty, let received, let text = received.jsonObject() { return text }
        var members = JSONObject()
        for field in fields {
            let name = field.name.lowercased()
            let earlier = members[name]?.stringValue
            members[name] = .string(earlier.map { "\($0), \(field.value)" } ?? field.value)
        }
        return JSON.object(members).text
    }
}

extension RequestHead {
    /// The fields as a JSON object, written straight from the bytes; nil where names repeat or values are not UTF-8.
    func jsonObject() -> String? {
        for (index, field) in fields.enumerated() {
            for earlier in fields[..<index] where sameName(earlier.name, field.name) { return nil }
        }
        var json: [UInt8] = []
        json.reserveCapacity(bytes.count + fields.count * 4)
        bytes.withUnsafeBytes { all in
            json.append(UInt8(ascii: "{"))
            for (index, field) in fields.enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                json.append(UInt8(ascii: "\""))
                // A name is a token: nothing in it needs an escape.
                for position in field.name.range { json.append(ASCII.lowercased(all[position])) }
                json.append(UInt8(ascii: "\""))
                json.append(UInt8(ascii: ":"))
                JSON.encodeString(UnsafeRawBufferPointer(rebasing: all[field.value.range]), into: &json)
            }
            json.append(UInt8(ascii: "}"))
        }
        return String(validating: json, as: UTF8.self)
    }

    private func sameName(_ left: Slice, _ right: Slice) -> Bool {
        left.count == right.count
            && zip(left.range, right.range).allSatisfy { ASCII.lowercased(bytes[$0]) == ASCII.lowercased(bytes[$1]) }
    }
}
