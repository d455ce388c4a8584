// SPDX-License-Identifier: Apache-2.0

/// What makes a body of a media type that a domain of that name stands for: an aggregate over the rows, or a function whose value it is.
struct MediaHandler: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// An aggregate of rows of a relation, or of any rows where it is nil.
        case aggregate(QualifiedName, of: QualifiedName?)
        /// The function's own value.
        case value
    }

    var kind: Kind
    /// Whether the domain is over `bytea`: the body is the bytes, not their text form.
    var returnsBytes: Bool
    /// The type of the answer unless the handler says another by `response.headers`.
    var mediaType: MediaType

    /// What a handler is found by.
    struct Key: Sendable, Hashable {
        /// The relation or function; nil for rows of any relation.
        var target: QualifiedName?
        /// The media type's name, in lower case; `*/*` handles every type.
        var name: String
    }

    static let anyType = "*/*"
}
