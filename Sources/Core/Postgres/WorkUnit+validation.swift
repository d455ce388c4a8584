// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Where a query is to run, which decides what it may do to transactions.
enum QueryPlace {
    /// In the implicit transaction of a unit.
    case unit
    /// In a leased transaction, where savepoints are in order.
    case transaction
}

extension WorkUnit {
    /// What keeps the unit from being sent, or nil. Pure; looks at each query's first word and for NUL bytes.
    func refusal(in place: QueryPlace) -> PostgresError? {
        if settings.count + loginSettings.count > Self.maxSettings {
            return PostgresError(.invalidQuery, "more than \(Self.maxSettings) settings in a unit of work")
        }
        if let role, role.containsNUL { return .containsNUL("the role") }
        if let refusal = Self.refusal(of: settings) ?? Self.refusal(of: loginSettings) { return refusal }
        for query in queries {
            if let refusal = query.refusal(in: place) { return refusal }
        }
        return nil
    }
}

extension WorkUnit {
    private static func refusal(of settings: [(name: String, value: String)]) -> PostgresError? {
        for setting in settings {
            if setting.name.containsNUL || setting.value.containsNUL { return .containsNUL("a setting") }
            // The role of a unit is its `role` alone, whatever reaches its settings.
            if isIdentity(setting.name) {
                return PostgresError(.invalidQuery, "the setting \(setting.name) cannot be set by a unit of work")
            }
        }
        return nil
    }

    /// Whether a setting decides who the queries run as. Names of settings are compared without regard to case.
    private static func isIdentity(_ name: String) -> Bool {
        switch name.utf8.count {
        case 4: name.lowercased() == "role"
        case 21: name.lowercased() == "session_authorization"
        default: false
        }
    }
}

extension PostgresQuery {
    /// The most binds the protocol can count.
    static let maxParameters = 65535

    fileprivate func refusal(in place: QueryPlace) -> PostgresError? {
        if sql.containsNUL { return .containsNUL("the query") }
        if parameters.count > Self.maxParameters {
            return PostgresError(.invalidQuery, "more than \(Self.maxParameters) parameters in a query")
        }
        for parameter in parameters where parameter.containsNUL { return .containsNUL("a parameter") }
        return controlRefusal(in: place)
    }

    /// Transactions and sessions belong to the connection: a query that ends the one would run what follows without its
    /// role and claims, and one that changes the other would leave the change to the next request.
    private func controlRefusal(in place: QueryPlace) -> PostgresError? {
        switch SQLCommand(firstOf: sql) {
        case .transactionControl:
            PostgresError(.invalidQuery, "a query may not begin or end a transaction; use withTransaction")
        case .rollback:
            switch place {
            case .transaction where SQLCommand.isRollbackToSavepoint(sql): nil
            case .transaction, .unit:
                PostgresError(.invalidQuery, "a query may not end a transaction; throw out of withTransaction instead")
            }
        case .listen:
            PostgresError(.invalidQuery, "a query may not listen; use notifications(on:)")
        case .other: nil
        }
    }
}

/// What the first word of a statement says about transactions and the session.
enum SQLCommand: Equatable {
    case transactionControl
    case rollback
    case listen
    case other

    init(firstOf sql: String) {
        var word = Self.firstWord(of: sql)
        if word == nil {
            // Begins with a comment: the lexer knows where that ends.
            var lexer = SQLLexer(sql)
            guard let token = lexer.nextMeaningful(), token.kind == .word else {
                self = .other
                return
            }
            word = lexer.lowercased(token)
        }
        switch word {
        case "begin", "start", "commit", "end", "abort": self = .transactionControl
        case "prepare": self = Self.words(of: sql, 2) == ["prepare", "transaction"] ? .transactionControl : .other
        case "rollback": self = .rollback
        case "listen", "unlisten": self = .listen
        default: self = .other
        }
    }

    static func isRollbackToSavepoint(_ sql: String) -> Bool {
        let words = words(of: sql, 3)
        return words.dropFirst().first == "to"
            || (["work", "transaction"].contains(words.dropFirst().first) && words.last == "to")
    }

    /// The first words in lower case, up to the first token that is none.
    static func words(of sql: String, _ count: Int) -> [String] {
        var lexer = SQLLexer(sql)
        var words: [String] = []
        while words.count < count, let token = lexer.nextMeaningful(), token.kind == .word {
            words.append(lexer.lowercased(token))
        }
        return words
    }

    /// The first word in lower case without any allocation (it is short), "" when it is longer than the ones looked for
    /// or no word, nil when the text begins with a comment.
    private static func firstWord(of sql: String) -> String? {
        let longest = 8
        var rest = sql.utf8[...]
        while let first = rest.first, first.isSQLSpace { rest.removeFirst() }
        guard let first = rest.first else { return "" }
        if first == UInt8(ascii: "-") || first == UInt8(ascii: "/") { return nil }
        var word = ""
        for byte in rest.prefix(longest + 1) {
            let lower = byte.lowercasedASCII
            guard lower >= UInt8(ascii: "a"), lower <= UInt8(ascii: "z") else { break }
            word.unicodeScalars.append(Unicode.Scalar(lower))
        }
        return word.utf8.count > longest ? "" : word
    }
}

extension PostgresError {
    fileprivate static func containsNUL(_ what: String) -> PostgresError {
        PostgresError(.invalidQuery, "\(what) contains a NUL byte, which PostgreSQL cannot store")
    }
}

extension PostgresParameter {
    fileprivate var containsNUL: Bool {
        switch value {
        case .null, .binary: false
        case .text(let text): text.containsNUL
        case .bytes(let bytes): bytes.withUnsafeBytes(\.containsNUL)
        }
    }
}

extension String {
    fileprivate var containsNUL: Bool {
        utf8.withContiguousStorageIfAvailable { UnsafeRawBufferPointer($0).containsNUL } ?? utf8.contains(0)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var containsNUL: Bool {
        guard let baseAddress, count > 0 else { return false }
        return memchr(baseAddress, 0, count) != nil
    }
}
