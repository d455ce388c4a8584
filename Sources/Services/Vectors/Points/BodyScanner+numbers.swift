// SPDX-License-Identifier: Apache-2.0

extension BodyScanner {
    /// Reads an array of numbers into `target`; what is more than it holds is read and dropped.
    ///
    /// - Returns: how many they were.
    mutating func floats(into target: UnsafeMutableBufferPointer<Float>) throws -> Int {
        try expect(UInt8(ascii: "["))
        if try take(UInt8(ascii: "]")) { return 0 }
        var count = 0
        while true {
            let usual = usualFloats(into: target, from: count)
            count += usual.count
            if usual.isWhole { return count }
            let number = try float()
            if count < target.count { target[count] = number }
            count += 1
            if try take(UInt8(ascii: ",")) { continue }
            try expect(UInt8(ascii: "]"))
            return count
        }
    }

    /// Reads numbers as components of vectors are mostly written, eight digits at a time: up to four digits, a point, and digits without
    /// an exponent, at most nineteen from the first that is not zero, with a comma or the end of the list behind. Stops before any other number, which ``float()`` reads or refuses.
    ///
    /// Reading numbers is most of what an upsert costs the server; digit by digit it took five times as long.
    ///
    /// - Parameter from: where in `target` the first belongs.
    /// - Returns: how many they were, and whether the list has ended with them.
    private mutating func usualFloats(
        into target: UnsafeMutableBufferPointer<Float>, from first: Int
    ) -> (count: Int, isWhole: Bool) {
        var index = first
        var place = position
        // Room for the longest number and a load that begins at its end, so that no step has to look for the end of the text.
        while end - place >= 48, index < target.count {
            let isNegative = bytes[place] == UInt8(ascii: "-")
            if isNegative { place += 1 }
            let leading = bytes[place] &- UInt8(ascii: "0")
            var mantissa = UInt64(leading)
            var digits = leading == 0 ? 0 : 1
            guard leading < 10 else { break }
            place += 1
            if leading != 0 {
                while digits < 4 {
                    let digit = bytes[place] &- UInt8(ascii: "0")
                    guard digit < 10 else { break }
                    mantissa = mantissa &* 10 &+ UInt64(digit)
                    digits += 1
                    place += 1
                }
            }
            guard bytes[place] == UInt8(ascii: ".") else { break }
            place += 1
            let firstOfFraction = place
            let noughts =
                leading == 0
                ? (bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self).littleEndian ^ Self.zeros)
                    .trailingZeroBitCount &>> 3 : 0
            // The third step ends at the nineteenth digit or too late.
            for _ in 0..<3 {
                let values = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self).littleEndian ^ Self.zeros
                // The first byte that is no digit has its highest bit set here; what is above it does not matter.
                let others = ((values &+ 0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080
                if others == 0 {
                    mantissa = mantissa &* 100_000_000 &+ Self.number(values)
                    place += 8
                    continue
                }
                let count = others.trailingZeroBitCount &>> 3
                if count > 0 {
                    mantissa =
                        mantissa &* Self.wholePowersOfTen[count] &+ Self.number(values &<< UInt64(64 &- 8 &* count))
                    place += count
                }
                break
            }
            let fraction = place - firstOfFraction
            let isLast = bytes[place] == UInt8(ascii: "]")
            guard fraction > 0, fraction <= 22, digits + fraction - noughts <= 19, mantissa < 1 << 63,
                isLast || bytes[place] == UInt8(ascii: ",")
            else { break }
            let value = Float(Double(Int64(truncatingIfNeeded: mantissa)) / Self.powersOfTen[fraction])
            target[index] = isNegative ? -value : value
            index += 1
            if isLast {
                position = place + 1
                return (index - first, true)
            }
            place += bytes[place + 1] == UInt8(ascii: " ") ? 2 : 1
            position = place
        }
        return (index - first, false)
    }

    private static let zeros: UInt64 = 0x3030_3030_3030_3030

    /// The number that eight digits make, the first in the lowest byte: pairs, then pairs of pairs, then the whole.
    @inline(__always)
    private static func number(_ digits: UInt64) -> UInt64 {
        let pairs = digits &* 10 &+ (digits &>> 8)
        let high = (pairs & 0x0000_00FF_0000_00FF) &* 0x000F_4240_0000_0064
        let low = ((pairs &>> 16) & 0x0000_00FF_0000_00FF) &* 0x0000_2710_0000_0001
        return (high &+ low) &>> 32
    }

    private static let wholePowersOfTen: [UInt64] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000]

    /// Reads an unsigned integer of at most eighteen digits; nil without a step for anything else.
    mutating func takeUnsigned() throws -> UInt64? {
        _ = try peek()
        var place = position
        var value: UInt64 = 0
        while place < end, place - position < 19 {
            let digit = bytes[place] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            value = value &* 10 &+ UInt64(digit)
            place += 1
        }
        let count = place - position
        guard (1...18).contains(count), count == 1 || bytes[position] != UInt8(ascii: "0"), place < end else {
            return nil
        }
        switch bytes[place] {
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: " "), UInt8(ascii: "\n"),
            UInt8(ascii: "\r"),
            UInt8(ascii: "\t"):
            position = place
            return value
        default: return nil
        }
    }

    /// A number that a `Float` can hold.
    ///
    /// Up to nineteen digits with a small exponent are read as an integer and scaled by an exact power of ten, which is right
    /// to more than a float's precision; the rest goes the library's way.
    mutating func float() throws -> Float {
        skipWhitespace()
        let start = position
        var isNegative = false
        if position < end, bytes[position] == UInt8(ascii: "-") {
            isNegative = true
            position += 1
        }
        var digits: UInt64 = 0
        var significant = 0
        var exponent = 0
        let firstDigit = position
        while position < end {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            if significant < 19 {
                digits = digits &* 10 &+ UInt64(digit)
                if digits != 0 { significant += 1 }
            } else {
                exponent += 1
            }
            position += 1
        }
        let integerDigits = position - firstDigit
        guard integerDigits > 0, integerDigits == 1 || bytes[firstDigit] != UInt8(ascii: "0") else {
            throw error("expected a number")
        }
        if position < end, bytes[position] == UInt8(ascii: ".") {
            position += 1
            let firstFraction = position
            while position < end {
                let digit = bytes[position] &- UInt8(ascii: "0")
                guard digit < 10 else { break }
                if significant < 19 {
                    digits = digits &* 10 &+ UInt64(digit)
                    if digits != 0 { significant += 1 }
                    exponent -= 1
                }
                position += 1
            }
            guard position > firstFraction else { throw error("invalid number") }
        }
        if position < end, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            var isDown = false
            if position < end, bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+") {
                isDown = bytes[position] == UInt8(ascii: "-")
                position += 1
            }
            var power = 0
            let firstPower = position
            while position < end {
                let digit = bytes[position] &- UInt8(ascii: "0")
                guard digit < 10 else { break }
                power = min(power * 10 + Int(digit), 100_000)
                position += 1
            }
            guard position > firstPower else { throw error("invalid number") }
            exponent += isDown ? -power : power
        }
        var value: Double
        if (-22...22).contains(exponent) {
            value = Double(digits)
            value = exponent < 0 ? value / Self.powersOfTen[-exponent] : value * Self.powersOfTen[exponent]
            if isNegative { value = -value }
        } else {
            value = Double(String(decoding: bytes[start..<position], as: UTF8.self)) ?? .nan
        }
        let float = Float(value)
        guard float.isFinite else { throw VectorsError(.format, "a number is out of the range of a float") }
        return float
    }

    fileprivate static let powersOfTen: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20,
        1e21, 1e22,
    ]
}
