// SPDX-License-Identifier: Apache-2.0
import Glibc
import Primitives
import Testing

/// A pipe whose reading end collects what a log wrote.
private struct Pipe {
    let reading: Int32
    let writing: Int32

    init() throws {
        var descriptors: [Int32] = [0, 0]
        try #require(pipe(&descriptors) == 0)
        (reading, writing) = (descriptors[0], descriptors[1])
    }

    func read(upTo count: Int = 65536) -> String {
        var buffer = [UInt8](repeating: 0, count: count)
        let count = Glibc.read(reading, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    func close() {
        Glibc.close(reading)
        Glibc.close(writing)
    }
}

@Suite struct LogTests {
    @Test func linesCannotBeForged() throws {
        let pipe = try Pipe()
        defer { pipe.close() }
        let log = Log(format: .text, fields: [.field("service", "auth")], writer: LogWriter(descriptor: pipe.writing))
        log.info(
            "signed\nup", .field("agent", "x\n2026 error faked"), .field("bare", "word"),
            .field("took", Duration.milliseconds(2)))
        log.flush()
        let text = pipe.read()
        #expect(text.utf8.count { $0 == UInt8(ascii: "\n") } == 1)
        #expect(text.hasSuffix("Z info signed up service=auth agent=\"x\\n2026 error faked\" bare=word took=2.0\n"))
    }

    @Test func jsonLinesHoldTheFields() throws {
        let pipe = try Pipe()
        defer { pipe.close() }
        let log = Log(level: .warning, format: .json, writer: LogWriter(descriptor: pipe.writing))
            .with(.field("loop", 1))
        log.info("too small to be written")
        log.error("failed", .field("code", 503), .field("cause", String?.none), .field("ok", false))
        log.flush()
        let line = try JSON(parsing: pipe.read())
        #expect(Timestamp(line["time"]?.stringValue ?? "") != nil)
        #expect(line["level"] == "error")
        #expect(line["event"] == "failed")
        #expect(line["loop"] == 1)
        #expect(line["code"] == 503)
        #expect(line["cause"] == .null)
        #expect(line["ok"] == false)
    }

    @Test func aStuckReaderDropsLinesInsteadOfBlocking() throws {
        let pipe = try Pipe()
        let writer = LogWriter(descriptor: pipe.writing, maxQueuedBytes: 4096)
        let log = Log(writer: writer)
        let padding = String(repeating: "x", count: 1000)
        // More than the pipe's 64 KiB and the queue together hold; nobody reads meanwhile.
        for _ in 0..<500 { log.info("line", .field("padding", padding)) }
        #expect(writer.droppedLines > 300)
        var text = ""
        while !text.contains("log lines dropped") { text += pipe.read() }
        // What is still queued fits the pipe now; closed before it is written, it would go to whoever gets the number next.
        log.flush()
        pipe.close()
    }

    @Test func disabledWritesNothing() {
        Log.disabled.error("nothing")
        Log.disabled.flush()
    }
}

@Suite struct MetricsTests {
    @Test func writesThePrometheusTextForm() {
        let metrics = Metrics()
        metrics.counter("b_total", "Things \\ done.", ["kind": "a\"b\n"]).increment(by: 3)
        metrics.counter("b_total", "Things done.", ["kind": "a\"b\n"]).increment()
        metrics.gauge("a_open", "Open things.").set(-2)
        metrics.gauge("c_read", "Read when asked.") { 0.5 }
        let histogram = metrics.histogram("d_seconds", "How long.", ["route": "/x"], buckets: [0.1, 1])
        histogram.observe(0.1)
        histogram.observe(.milliseconds(500))
        histogram.observe(7.0)
        #expect(
            metrics.exposition() == """
                # HELP a_open Open things.
                # TYPE a_open gauge
                a_open -2
                # HELP b_total Things \\\\ done.
                # TYPE b_total counter
                b_total{kind="a\\"b\\n"} 4
                # HELP c_read Read when asked.
                # TYPE c_read gauge
                c_read 0.5
                # HELP d_seconds How long.
                # TYPE d_seconds histogram
                d_seconds_bucket{route="/x",le="0.1"} 1
                d_seconds_bucket{route="/x",le="1"} 2
                d_seconds_bucket{route="/x",le="+Inf"} 3
                d_seconds_sum{route="/x"} 7.6
                d_seconds_count{route="/x"} 3

                """)
    }

    @Test func boundsTheSeriesOfAName() {
        let metrics = Metrics(maxSeriesPerName: 2)
        for number in 0..<100 { metrics.counter("n_total", "", ["id": "\(number)"]).increment() }
        let lines = metrics.exposition().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines == ["n_total{id=\"0\"} 1", "n_total{id=\"1\"} 1", "n_total{id=\"other\"} 98"])
    }

    @Test func countsFromManyTasks() async {
        let histogram = Metrics().histogram("h", "", buckets: [1])
        let counter = Metrics().counter("c", "")
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter.increment()
                        histogram.observe(0.5)
                    }
                }
            }
        }
        #expect(counter.value == 8000)
    }
}
