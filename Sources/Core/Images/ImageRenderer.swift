// SPDX-License-Identifier: Apache-2.0
package import EventLoop
internal import Glibc
internal import Processes

/// Renders images in a process for each, so that a file made to break a decoder breaks that process alone, and so that the server
/// never loads the decoders.
package struct ImageRenderer: Sendable {
    private let program: String
    private let command: String
    private let limits: ImageLimits
    private let workers: WorkerPool

    /// - Parameters:
    ///   - program: this program.
    ///   - command: the command of it that calls ``ImageWorker`` with the lines of its one argument.
    ///   - workers: as many images are rendered at a time as it has threads.
    package init(program: String, command: String, limits: ImageLimits, workers: WorkerPool) {
        self.program = program
        self.command = command
        self.limits = limits
        self.workers = workers
    }

    /// Renders a file into another, which must not be there.
    ///
    /// - Throws: ``ImageError``.
    package func render(_ input: String, to output: String, _ request: ImageRequest) async throws -> RenderedImage {
        let invocation = ProgramInvocation(
            program, [command, ImageWorker.arguments(input, output, request, limits).joined(separator: "\n")],
            environment: ["VIPS_WARNING": "0", "MALLOC_ARENA_MAX": "2"])
        let timeout = limits.timeout
        do {
            return try await workers.run {
                let result: ProgramResult
                do { result = try invocation.capture(timeout: timeout, maxOutputBytes: 4096) } catch {
                    throw ImageError.failed
                }
                if let image = ImageWorker.result(result.output), result.isSuccess { return image }
                unlink(output)
                if case .exited(let code) = result.status { throw ImageError(rawValue: code) ?? .failed }
                throw ImageError.failed
            }
        } catch is WorkerPoolError {
            throw ImageError.overloaded
        }
    }
}
