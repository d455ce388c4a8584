// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension JSONObject {
    /// A member that is a boolean; nil where it is absent or null.
    ///
    /// - Throws: ``VectorsError`` with `format`.
    func flag(_ name: String, at path: String = "") throws -> Bool? {
        guard let value = self[name], value != .null else { return nil }
        guard let flag = value.boolValue else { throw VectorsError(.format, "\(path)\(name): expected a boolean") }
        return flag
    }

    /// A member that is a text; nil where it is absent or null.
    ///
    /// - Throws: ``VectorsError`` with `format`.
    func text(_ name: String, at path: String = "") throws -> String? {
        guard let value = self[name], value != .null else { return nil }
        guard let text = value.stringValue else { throw VectorsError(.format, "\(path)\(name): expected a string") }
        return text
    }
}
