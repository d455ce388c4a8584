// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport
import Testing

@testable import Postgres

/// The messages of the extended query protocol, read and written without libpq.
@Suite struct WireTests {
    /// A wire, and the other end of its socket.
    private final class Ends {
        let wire: Wire
        let server: Int32
        private let client: Int32

        init() throws {
            var descriptors: [Int32] = [0, 0]
            try #require(
                socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &descriptors) == 0)
            client = descriptors[0]
            server = descriptors[1]
            wire = Wire(descriptor: client)
        }

        deinit {
            close(client)
            close(server)
        }

        func say(_ bytes: some Collection<UInt8>) {
            #expect(write(server, Array(bytes), bytes.count) == bytes.count)
        }

        /// What the wire has sent.
        func heard() -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            let count = read(server, &buffer, buffer.count)
            return Array(buffer.prefix(max(0, count)))
        }

        /// The messages that are complete, as types and bytes; nil when one is malformed.
        func messages() -> [(UInt8, [UInt8])]? {
            _ = wire.receive()
            var found: [(UInt8, [UInt8])] = []
            while true {
                switch wire.next() {
                case .incomplete: return found
                case .malformed: return nil
                case .message(let message): found.append((message.type, Array(message.payload)))
                }
            }
        }
    }

    private static func message(_ type: Unicode.Scalar, _ payload: [UInt8]) -> [UInt8] {
        let length = UInt32(payload.count + 4)
        return [UInt8(ascii: type)] + withUnsafeBytes(of: length.bigEndian) { Array($0) } + payload
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    private static func columns(_ names: [String]) -> [UInt8] {
        names.reduce(into: [0, UInt8(names.count)]) {
            $0 += text($1) + [0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]
        }
    }

    private static func row(_ cells: [String?]) -> [UInt8] {
        cells.reduce(into: [0, UInt8(cells.count)]) {
            guard let cell = $1 else { return $0 += [255, 255, 255, 255] }
            $0 += [0, 0, 0, UInt8(cell.utf8.count)] + Array(cell.utf8)
        }
    }

    private static func columns(of payload: [UInt8]) -> WireColumns? { payload.withUnsafeBytes { WireColumns($0) } }

    // MARK: Refusals

    @Test(
        arguments: [
            [0, 0, 0, 3], [0, 0, 0, 0], [0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF],
        ] as [[UInt8]])
    func refusesLengthsThatNoMessageHas(_ length: [UInt8]) throws {
        let ends = try Ends()
        ends.say([UInt8(ascii: "D")] + length)
        #expect(ends.messages() == nil)
    }

    @Test func descriptionsAndRowsThatDoNotAddUpAreRefused() throws {
        let description = Self.columns(["id", "title"])
        let whole = Self.row(["1", "a title"])
        let columns = try #require(Self.columns(of: description))
        for length in description.indices { #expect(Self.columns(of: Array(description.prefix(length))) == nil) }
        #expect(Self.columns(of: description + [0]) == nil)
        let rows = WireRows(columns)
        for length in whole.indices {
            let isTaken = whole.prefix(length).withUnsafeBytes { rows.add($0) }
            #expect(!isTaken)
        }
        for bad in [whole + [0], Self.row(["1"]), Self.row(["1", "2", "3"]), [0, 2, 127, 255, 255, 255, 0]] {
            let isTaken = bad.withUnsafeBytes { rows.add($0) }
            #expect(!isTaken)
        }
        #expect(rows.count == 0)
        // One that was refused leaves no cells behind.
        let isTaken = whole.withUnsafeBytes { rows.add($0) }
        #expect(isTaken)
        #expect(rows.count == 1)
        #expect(String(decoding: rows.cell(0, 1), as: UTF8.self) == "a title")
    }

    @Test func anErrorWithoutItsStateIsNone() {
        let error = [UInt8(ascii: "S")] + Self.text("ERROR") + [UInt8(ascii: "M")] + Self.text("no") + [0]
        let cut = [UInt8(ascii: "C")] + Array("42P01".utf8)
        for bytes in [error, cut, []] {
            let read = bytes.withUnsafeBytes { PostgresError(wire: $0) }
            #expect(read == nil)
        }
    }

    /// Whatever bytes come, in whatever pieces, they are read or refused.
    @Test func damagedBytesAreReadOrRefused() throws {
        var random = SeededGenerator(seed: 18)
        let sound =
            Self.message("T", Self.columns(["id", "title"])) + Self.message("D", Self.row(["1", nil]))
            + Self.message(
                "E", [UInt8(ascii: "C")] + Self.text("22012") + [UInt8(ascii: "M")] + Self.text("division") + [0])
            + Self.message("C", Self.text("SELECT 1")) + Self.message("Z", [UInt8(ascii: "I")])
        for _ in 0..<5_000 {
            var bytes = sound
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...4, using: &random))
            let ends = try Ends()
            var rows = WireRows(.none)
            ends.say(bytes)
            for (type, payload) in ends.messages() ?? [] {
                payload.withUnsafeBytes { payload in
                    switch Unicode.Scalar(type) {
                    case "T": rows = WireRows(WireColumns(payload) ?? .none)
                    case "D": _ = rows.add(payload)
                    case "E": _ = PostgresError(wire: payload)
                    default: break
                    }
                }
            }
            for row in 0..<rows.count {
                for column in rows.columns.names.indices {
                    #expect(
                        rows.isNull(row, column)
                            ? rows.cell(row, column).isEmpty : rows.cell(row, column).count <= bytes.count)
                }
            }
        }
    }

    // MARK: Reading

    @Test func messagesAreTheSameHoweverTheyAreCut() throws {
        var random = SeededGenerator(seed: 7)
        let long = String(repeating: "long ", count: 20_000)
        let sound =
            Self.message("1", []) + Self.message("A", Self.text(long)) + Self.message("Z", [UInt8(ascii: "T")])
            + Self.message("n", [])
        for _ in 0..<50 {
            let ends = try Ends()
            var rest = sound[...]
            var found: [(UInt8, [UInt8])] = []
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...60_000, using: &random))
                rest = rest.dropFirst(piece.count)
                ends.say(piece)
                found += try #require(ends.messages())
            }
            #expect(found.map(\.0) == "1AZn".utf8.map { $0 })
            #expect(found.map(\.1.count) == [0, long.utf8.count + 1, 1, 0])
            #expect(ends.wire.transactionStatus == UInt8(ascii: "T"))
        }
    }

    @Test func rowsKeepTextsAndNulls() throws {
        let columns = try #require(Self.columns(of: Self.columns(["a", "b"])))
        #expect(columns.types == [25, 25])
        let rows = WireRows(columns)
        for number in 0..<100 {
            let isTaken = Self.row(["\(number)", number % 2 == 0 ? nil : ""]).withUnsafeBytes { rows.add($0) }
            #expect(isTaken)
        }
        let result = PostgresResult(rows, tag: "SELECT 100")
        #expect(result.rowCount == 100 && result.columnCount == 2 && result.affectedRows == 100)
        #expect(result.column("b") == 1 && result.column("c") == nil)
        for number in 0..<100 {
            #expect(result.string(number, 0) == "\(number)")
            #expect(result.string(number, 1) == (number % 2 == 0 ? nil : ""))
        }
    }

    @Test func anErrorHasItsFields() throws {
        let fields: [(Unicode.Scalar, String)] = [
            ("V", "FATAL"), ("C", "57P01"), ("M", "going down"), ("D", "why"), ("P", "12"),
        ]
        let bytes: [UInt8] = fields.reduce(into: []) { $0 += [UInt8(ascii: $1.0)] + Self.text($1.1) } + [0]
        let error = try #require(bytes.withUnsafeBytes { PostgresError(wire: $0) })
        #expect(error.isFatal && error.sqlState == "57P01" && error.message == "going down")
        #expect(error.detail == "why" && error.position == 12 && error.hint == nil)
    }

    // MARK: Writing

    @Test func writesWhatTheProtocolSays() throws {
        let ends = try Ends()
        let parameters = ParameterBuffer()
        ends.wire.prepare("a1", "select $1", types: [])
        parameters.load([PostgresParameter(text: "x"), .null])
        ends.wire.execute("a1", parameters)
        parameters.load([PostgresParameter(binary: [0, 0, 0, 7], type: 23)])
        ends.wire.execute(sql: "select $1", types: [23], parameters)
        ends.wire.sync()
        #expect(ends.wire.flush() == .done)
        let expected =
            Self.message("P", Self.text("a1") + Self.text("select $1") + [0, 0])
            + Self.message("D", [UInt8(ascii: "S")] + Self.text("a1"))
            + Self.message(
                "B", [0] + Self.text("a1") + [0, 0, 0, 2, 0, 0, 0, 1, UInt8(ascii: "x"), 255, 255, 255, 255, 0, 0])
            + Self.message("E", [0, 0, 0, 0, 0])
            + Self.message("P", [0] + Self.text("select $1") + [0, 1, 0, 0, 0, 23])
            + Self.message("B", [0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0])
            + Self.message("D", [UInt8(ascii: "P"), 0]) + Self.message("E", [0, 0, 0, 0, 0]) + Self.message("S", [])
        #expect(ends.heard() == expected)
    }

    @Test func whatTheSocketDoesNotTakeGoesLater() throws {
        let ends = try Ends()
        let parameters = ParameterBuffer()
        parameters.load([PostgresParameter(text: String(repeating: "many ", count: 400_000))])
        ends.wire.execute("a1", parameters)
        #expect(ends.wire.flush() == .again)
        var count = 0
        while ends.wire.flush() == .again { count += ends.heard().count }
        count += ends.heard().count
        #expect(count == 2_000_000 + 1 + 4 + 1 + 3 + 2 + 2 + 4 + 2 + 10)
    }

    @Test func aServerThatIsGoneIsAFailure() throws {
        let ends = try Ends()
        shutdown(ends.server, Int32(SHUT_RDWR))
        #expect(ends.wire.receive() == .failed)
        ends.wire.sync()
        #expect(ends.wire.flush() == .failed)
    }
}
