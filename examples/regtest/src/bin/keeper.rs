//! Runs a program that ends with its owner: `keeper -- PROGRAM ARGUMENT…`.

fn main() -> std::process::ExitCode {
    regtest::keeper::main()
}
