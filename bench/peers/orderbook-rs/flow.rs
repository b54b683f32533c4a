//! A workload file (layout: bench/peers/README.md), read before any clock runs: prefill rows first, then the steps.
use std::fs;

pub const NEW: u8 = 0;
pub const IOC: u8 = 1;
pub const FOK: u8 = 2;
pub const CANCEL: u8 = 3;
pub const MOVE: u8 = 4;
const HEADER_BYTES: usize = 64;
const RECORD_BYTES: usize = 32;

pub struct Row {
    pub op: u8,
    pub sell: bool,
    pub order: u32,
    pub price: u64,
    pub quantity: u64,
}

pub struct Flow {
    pub name: String,
    pub prefill: usize,
    pub rows: Vec<Row>,
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut whole = [0u8; 8];
    whole[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(whole)
}

impl Flow {
    pub fn read(path: &str) -> Flow {
        let bytes = fs::read(path).expect("the workload can be read");
        assert!(bytes.starts_with(b"VBXFLOW1") && number(&bytes, 16, 4) == RECORD_BYTES as u64, "not a workload");
        assert!(number(&bytes, 20, 4) == 1, "only workloads of one symbol can be run");
        let name = String::from_utf8_lossy(&bytes[8..16]).trim_end_matches('\0').to_string();
        let prefill = number(&bytes, 32, 4) as usize;
        let steps = number(&bytes, 36, 4) as usize;
        let rows = (0..prefill + steps)
            .map(|row| {
                let at = HEADER_BYTES + row * RECORD_BYTES;
                Row {
                    op: bytes[at],
                    sell: bytes[at + 1] != 0,
                    order: number(&bytes, at + 8, 4) as u32,
                    price: number(&bytes, at + 16, 8),
                    quantity: number(&bytes, at + 24, 8),
                }
            })
            .collect();
        Flow { name, prefill, rows }
    }

    pub fn steps(&self) -> &[Row] {
        &self.rows[self.prefill..]
    }
}
