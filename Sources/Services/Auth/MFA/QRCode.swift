// SPDX-License-Identifier: Apache-2.0
import CQRencode

/// A QR code (ISO/IEC 18004), made by libqrencode.
struct QRCode: Sendable {
    /// Modules of one side, without the quiet zone.
    let width: Int
    /// Row by row; true is dark.
    private let modules: [Bool]

    /// Encodes a text with the medium level of error correction; nil for one that does not fit or has a NUL.
    init?(_ text: String) {
        guard let code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M) else { return nil }
        defer { QRcode_free(code) }
        width = Int(code.pointee.width)
        guard let data = code.pointee.data, width > 0 else { return nil }
        // The lowest bit of a module says whether it is dark; the others what it is for.
        modules = (0..<(width * width)).map { data[$0] & 1 == 1 }
    }

    /// The code as an SVG document with the quiet zone of four modules that readers need.
    var svg: String {
        let margin = 4
        var path = ""
        for row in 0..<width {
            var column = 0
            while column < width {
                let run = modules[(row * width + column)..<((row + 1) * width)].prefix { $0 }.count
                if run > 0 { path += "M\(column + margin) \(row + margin)h\(run)v1h-\(run)z" }
                column += max(run, 1)
            }
        }
        let side = width + 2 * margin
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(side) \(side)" width="\(side * 5)" \
            height="\(side * 5)" shape-rendering="crispEdges"><rect width="\(side)" height="\(side)" fill="#fff"/>\
            <path d="\(path)" fill="#000"/></svg>
            """
    }
}
