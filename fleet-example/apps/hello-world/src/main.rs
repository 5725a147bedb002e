pub fn main() {
    println!("Hello from Wasmbed!");
}
