// SPDX-License-Identifier: Apache-2.0

/// A file of SQL statements, taken apart as `psql` would: at semicolons outside of strings, comments, parentheses and the
/// bodies of `BEGIN ATOMIC` functions.
///
/// It never fails; what is not closed makes one long last statement, which the server refuses with its reason.
package struct SQLScript: Sendable, Hashable {
    /// One statement.
    package struct Statement: Sendable, Hashable {
        /// The statement without its semicolon and without surrounding space and comments.
        package var text: String
        /// The line its first word stands on, from 1.
        package var line: Int
        /// Why it cannot run inside a transaction block, if it cannot.
        package var restriction: Restriction?
    }

    /// What keeps a statement out of a transaction block.
    package enum Restriction: Sendable, Hashable {
        /// It begins or ends transactions itself.
        case transactionControl
        /// PostgreSQL refuses it in a block: `VACUUM`, `CREATE INDEX CONCURRENTLY`, `CREATE DATABASE` and so on.
        case notInTransaction
        /// It wants data from the script itself (`COPY ... FROM STDIN`), which only psql can give it.
        case needsInput
    }

    /// The statements in order; empty ones are left out.
    package let statements: [Statement]
    /// Whether a comment `-- atoll:no-transaction` stands before the first statement.
    package let isMarkedNoTransaction: Bool

    /// The comment that asks for a script to be run outside of a transaction, statement by statement.
    package static let noTransactionMarker = "atoll:no-transaction"

    /// Whether all of it can run in one transaction.
    package var fitsInTransaction: Bool {
        !isMarkedNoTransaction && statements.allSatisfy { $0.restriction == nil }
    }

    package init(_ text: String) {
        var splitter = Splitter(text)
        splitter.split()
        statements = splitter.statements
        isMarkedNoTransaction = splitter.isMarked
    }
}

private struct Splitter {
    private var lexer: SQLLexer
    private(set) var statements: [SQLScript.Statement] = []
    private(set) var isMarked = false

    // Of the statement at hand.
    private var start: Int?
    private var end = 0
    private var words: [String] = []
    private var areWordsComplete = false
    private var parentheses = 0
    /// Open `BEGIN ATOMIC` and, within it, `CASE`: both end with `END`.
    private var blocks = 0
    private var lastWordWasBegin = false
    private var isConcurrent = false
    private var readsInput = false

    // Where lines were counted to.
    private var countedTo = 0
    private var line = 1

    /// Enough for the longest prefix that decides anything: `create or replace procedure`, `alter table x detach partition`.
    private static let keptWords = 8

    init(_ text: String) {
        var bytes = Array(text.utf8)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        lexer = SQLLexer(bytes)
    }

    mutating func split() {
        while let token = lexer.next() {
            switch token.kind {
            case .space: continue
            case .comment: noteComment(token)
            case .symbol(UInt8(ascii: ";")) where parentheses == 0 && blocks == 0: finish()
            default: add(token)
            }
        }
        finish()
    }

    private mutating func noteComment(_ token: SQLLexer.Token) {
        guard statements.isEmpty, start == nil, lexer.bytes[token.range].starts(with: "--".utf8) else { return }
        var comment = String(decoding: lexer.bytes[token.range].dropFirst(2), as: UTF8.self)[...]
        while let first = comment.first, first.isWhitespace { comment.removeFirst() }
        while let last = comment.last, last.isWhitespace { comment.removeLast() }
        if comment == SQLScript.noTransactionMarker { isMarked = true }
    }

    private mutating func add(_ token: SQLLexer.Token) {
        if start == nil { start = token.range.lowerBound }
        end = token.range.upperBound
        switch token.kind {
        case .symbol(UInt8(ascii: "(")): parentheses += 1
        case .symbol(UInt8(ascii: ")")): parentheses = max(parentheses - 1, 0)
        case .word: addWord(token)
        default: break
        }
        if token.kind != .word {
            lastWordWasBegin = false
            // Only the words a statement begins with tell what it is.
            if words.isEmpty { areWordsComplete = true }
        }
    }

    private mutating func addWord(_ token: SQLLexer.Token) {
        if blocks > 0 {
            if lexer.isWord(token, "case") { blocks += 1 }
            if lexer.isWord(token, "end") { blocks -= 1 }
        } else if lastWordWasBegin, lexer.isWord(token, "atomic"), isRoutine {
            blocks = 1
        }
        lastWordWasBegin = lexer.isWord(token, "begin")
        if lexer.isWord(token, "concurrently") { isConcurrent = true }
        if lexer.isWord(token, "stdin") { readsInput = true }
        if !areWordsComplete, words.count < Self.keptWords { words.append(lexer.lowercased(token)) }
    }

    private var isRoutine: Bool {
        words.first == "create" && (words.contains("function") || words.contains("procedure"))
    }

    private mutating func finish() {
        defer {
            start = nil
            words = []
            areWordsComplete = false
            parentheses = 0
            blocks = 0
            lastWordWasBegin = false
            isConcurrent = false
            readsInput = false
        }
        guard let start else { return }
        line += lexer.bytes[countedTo..<start].count { $0 == UInt8(ascii: "\n") }
        countedTo = start
        statements.append(
            SQLScript.Statement(
                text: String(decoding: lexer.bytes[start..<end], as: UTF8.self), line: line, restriction: restriction))
    }

    private var restriction: SQLScript.Restriction? {
        func begins(_ first: String...) -> Bool { words.starts(with: first) }
        switch words.first {
        case "begin", "start", "commit", "end", "abort": return .transactionControl
        case "rollback": return words.contains("to") ? nil : .transactionControl
        case "prepare": return begins("prepare", "transaction") ? .transactionControl : nil
        case "copy": return readsInput ? .needsInput : nil
        case "vacuum": return .notInTransaction
        case "create":
            let isIndex = words.contains("index") && isConcurrent
            return isIndex || begins("create", "database") || begins("create", "tablespace") ? .notInTransaction : nil
        case "drop":
            let isIndex = begins("drop", "index") && isConcurrent
            return isIndex || begins("drop", "database") || begins("drop", "tablespace") ? .notInTransaction : nil
        case "reindex":
            return isConcurrent || begins("reindex", "database") || begins("reindex", "system")
                || begins("reindex", "schema") ? .notInTransaction : nil
        case "refresh", "cluster": return nil
        case "alter":
            return begins("alter", "system") || (words.contains("detach") && isConcurrent) ? .notInTransaction : nil
        default: return nil
        }
    }
}
