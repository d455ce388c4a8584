// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A moment of the wall clock in UTC with microseconds, the resolution of PostgreSQL's `timestamptz`.
package struct Timestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    package var unixMicroseconds: Int64

    package init(unixMicroseconds: Int64) {
        self.unixMicroseconds = unixMicroseconds
    }

    package init(unixSeconds: Int64) {
        unixMicroseconds = unixSeconds * 1_000_000
    }

    /// The system's wall clock.
    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(unixMicroseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// Whole seconds since 1970, rounded down.
    package var unixSeconds: Int64 {
        unixMicroseconds.quotientRoundedDown(by: 1_000_000)
    }

    package static func < (first: Timestamp, second: Timestamp) -> Bool {
        first.unixMicroseconds < second.unixMicroseconds
    }

    package static func + (moment: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(unixMicroseconds: moment.unixMicroseconds + duration.wholeMicroseconds)
    }

    package static func - (moment: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(unixMicroseconds: moment.unixMicroseconds - duration.wholeMicroseconds)
    }

    /// The time from `earlier` to `later`; negative when they stand the other way round.
    package static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .microseconds(later.unixMicroseconds - earlier.unixMicroseconds)
    }
}

extension Duration {
    /// The duration in microseconds, towards zero.
    fileprivate var wholeMicroseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}

extension Int64 {
    fileprivate func quotientRoundedDown(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

// MARK: Text

extension Timestamp {
    /// RFC 3339 in UTC, such as `2026-03-01T12:00:00.25Z`; trailing zeros of the fraction are left out.
    package var description: String {
        var text = ""
        text.reserveCapacity(27)
        let seconds = unixSeconds
        let date = CivilDate(daysSinceEpoch: seconds.quotientRoundedDown(by: 86_400))
        let second = seconds - seconds.quotientRoundedDown(by: 86_400) * 86_400
        text += Self.padded(date.year, 4) + "-" + Self.padded(date.month, 2) + "-" + Self.padded(date.day, 2)
        text += "T" + Self.padded(second / 3600, 2) + ":" + Self.padded(second / 60 % 60, 2)
        text += ":" + Self.padded(second % 60, 2)
        var fraction = unixMicroseconds - seconds * 1_000_000
        if fraction > 0 {
            var width = 6
            while fraction % 10 == 0 {
                fraction /= 10
                width -= 1
            }
            text += "." + Self.padded(fraction, width)
        }
        return text + "Z"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Reads RFC 3339, and what PostgreSQL prints for `timestamptz` with ISO dates: a space for `T`, an offset of
    /// hours alone, no fraction or one of up to nine digits (cut to microseconds). Years are 0001 to 9999.
    package init?(_ text: some StringProtocol) {
        var reader = TimestampReader(bytes: Array(text.utf8))
        guard let moment = reader.read() else { return nil }
        self = moment
    }
}

private struct TimestampReader {
    private let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func read() -> Timestamp? {
        guard let year = number(4), take("-"), let month = number(2), take("-"), let day = number(2),
            year >= 1, (1...12).contains(month), (1...CivilDate.days(in: month, of: year)).contains(day),
            take("T") || take("t") || take(" "),
            let hour = number(2), take(":"), let minute = number(2), take(":"), let second = number(2),
            hour < 24, minute < 60, second < 60,
            let fraction = fraction(), let offset = offset(), position == bytes.count
        else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        return Timestamp(unixMicroseconds: seconds * 1_000_000 + fraction)
    }

    private mutating func take(_ character: UnicodeScalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func digit() -> Int64? {
        guard position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) else {
            return nil
        }
        position += 1
        return Int64(bytes[position - 1] - UInt8(ascii: "0"))
    }

    private mutating func number(_ width: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<width {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// Microseconds of the fraction; zero when there is none.
    private mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        var value: Int64 = 0
        var count = 0
        while let digit = digit() {
            count += 1
            if count <= 6 { value = value * 10 + digit }
        }
        guard (1...9).contains(count) else { return nil }
        for _ in 0..<max(0, 6 - count) { value *= 10 }
        return value
    }

    /// Seconds east of Greenwich.
    private mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(2), hours < 24 else { return nil }
        var minutes: Int64 = 0
        if take(":") {
            guard let value = number(2), value < 60 else { return nil }
            minutes = value
        }
        return sign * (hours * 3600 + minutes * 60)
    }
}

/// A day of the proleptic Gregorian calendar.
private struct CivilDate {
    var year: Int64
    var month: Int64
    var day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// Counts in eras of 400 years of 146 097 days that begin on 1 March, so that the leap day is a year's last.
    init(daysSinceEpoch: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = shifted.quotientRoundedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSinceEpoch: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.quotientRoundedDown(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }
}
