// SPDX-License-Identifier: Apache-2.0

/// A text that must not be printed: a key, a password, a signing secret.
///
/// It has no `Equatable` on purpose (comparing secrets is ``constantTimeEquals(_:_:)``'s work), every textual form of it
/// is a mask, and it is no ``LogValue``, so passing one to the log does not compile.
package struct SecretString: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    package init(_ value: String) {
        self.value = value
    }

    /// The text itself, for the one place that needs it.
    package func reveal() -> String { value }

    /// The UTF-8 bytes of the text.
    package var bytes: [UInt8] { Array(value.utf8) }

    package var isEmpty: Bool { value.isEmpty }

    package var description: String { "(secret)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }

    /// Whether `candidate` is the secret, compared in constant time.
    package func matches(_ candidate: String) -> Bool {
        constantTimeEquals(bytes, Array(candidate.utf8))
    }
}
