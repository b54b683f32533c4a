//! orderbook-rs: one book, one thread; trades come through its trade listener, as also those of moves do nowhere else.
//!
//! A move is its `Replace` (cancel, then add again). A reduce is its `UpdateQuantity`, which wants the new quantity: that is looked up in the
//! first pass, outside of the clock. Passes as in Java and JavaScript: warm-up, timed ones, and one with a clock around every operation.
mod flow;

use flow::{Flow, Row, CANCEL, FOK, IOC, MOVE, NEW};
use orderbook_rs::OrderBook;
use pricelevel::{Id, OrderUpdate, Price, Quantity, Side, TimeInForce};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static QUANTITY: Cell<u64> = const { Cell::new(0) };
    static RECORDS: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

type Book = OrderBook<()>;

fn open() -> Book {
    Book::with_trade_listener(
        "BTC-USD",
        Arc::new(|result| {
            for trade in result.match_result.trades().as_vec() {
                let lots = trade.quantity().as_u64();
                COUNT.set(COUNT.get() + 1);
                QUANTITY.set(QUANTITY.get() + lots);
                RECORDS.with_borrow_mut(|kept| {
                    if let Some(records) = kept {
                        records.extend(number(trade.taker_order_id()).to_le_bytes());
                        records.extend(number(trade.maker_order_id()).to_le_bytes());
                        records.extend((trade.price().as_u128() as u64).to_le_bytes());
                        records.extend(lots.to_le_bytes());
                    }
                });
            }
        }),
    )
}

fn number(id: Id) -> u32 {
    match id {
        Id::Sequential(number) => number as u32,
        _ => panic!("an id that was never given"),
    }
}

fn totals() -> (u64, u64) {
    (COUNT.get(), QUANTITY.get())
}

/// `reduced`: the new quantity of a reduce.
fn run(book: &Book, row: &Row, reduced: u64) {
    let id = Id::Sequential(u64::from(row.order));
    let side = if row.sell { Side::Sell } else { Side::Buy };
    match row.op {
        NEW | IOC | FOK => {
            let tif = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok][row.op as usize];
            let result = book.add_limit_order(id, u128::from(row.price), row.quantity, side, tif, None);
            // What an immediate order leaves over is an error here.
            assert!(row.op != NEW || result.is_ok(), "{result:?}");
        }
        CANCEL => assert!(matches!(book.cancel_order(id), Ok(Some(_)))),
        MOVE => {
            let (price, quantity) = (Price::new(u128::from(row.price)), Quantity::new(row.quantity));
            let update = OrderUpdate::Replace { order_id: id, price, quantity, side };
            book.update_order(update).expect("a move");
        }
        _ => {
            let new_quantity = Quantity::new(reduced);
            book.update_order(OrderUpdate::UpdateQuantity { order_id: id, new_quantity }).expect("a reduce");
        }
    }
}

fn prefilled(flow: &Flow) -> Book {
    let book = open();
    for row in &flow.rows[..flow.prefill] {
        run(&book, row, 0);
    }
    COUNT.set(0);
    QUANTITY.set(0);
    book
}

fn pass(flow: &Flow, reduced: &[u64]) -> Duration {
    let book = prefilled(flow);
    let began = Instant::now();
    for (row, reduced) in flow.steps().iter().zip(reduced) {
        run(&book, row, *reduced);
    }
    began.elapsed()
}

/// The first pass: what reduces come to, and every trade.
fn learn(flow: &Flow) -> (Vec<u64>, Vec<u8>) {
    let book = prefilled(flow);
    RECORDS.set(Some(Vec::new()));
    let reduced = flow
        .steps()
        .iter()
        .map(|row| {
            let mut left = 0;
            if row.op > MOVE {
                let order = book.get_order(Id::Sequential(u64::from(row.order))).expect("an open order");
                left = order.visible_quantity().as_u64() - row.quantity;
            }
            run(&book, row, left);
            left
        })
        .collect();
    (reduced, RECORDS.take().unwrap_or_default())
}

fn service_times(flow: &Flow, reduced: &[u64]) -> Vec<u64> {
    let book = prefilled(flow);
    let mut times: Vec<u64> = flow
        .steps()
        .iter()
        .zip(reduced)
        .map(|(row, reduced)| {
            let began = Instant::now();
            run(&book, row, *reduced);
            began.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    times
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let flow = Flow::read(&arguments[1]);
    let option = |name: &str| arguments.iter().position(|one| one == name).map(|at| arguments[at + 1].clone());
    let seconds = option("--seconds").map_or(1.0, |text| text.parse::<f64>().expect("seconds"));
    let (reduced, records) = learn(&flow);
    let expected = totals();
    if let Some(path) = option("--trades") {
        let mut file = std::fs::File::create(path).expect("the file of trades");
        file.write_all(&records).expect("the trades are written");
    }
    let mut passes: Vec<f64> = Vec::new();
    while passes.iter().sum::<f64>() < seconds {
        passes.push(pass(&flow, &reduced).as_secs_f64());
        assert!(totals() == expected, "two passes gave different trades");
    }
    passes.sort_by(f64::total_cmp);
    let median = passes[passes.len() / 2];
    let steps = flow.steps().len();
    let times = service_times(&flow, &reduced);
    let at = |share: f64| times[(share * (steps - 1) as f64) as usize];
    println!(
        "{{\"engine\":\"orderbook-rs\",\"version\":\"{}\",\"workload\":\"{}\",\"operations\":{steps},\"passes\":{},\
         \"warmupPasses\":1,\"seconds\":{median:.6},\"opsPerSecond\":{:.0},\"trades\":{},\"tradedQuantity\":{},\
         \"p50Ns\":{},\"p99Ns\":{},\"p999Ns\":{}}}",
        option("--version").unwrap_or_default(),
        flow.name,
        passes.len(),
        steps as f64 / median,
        expected.0,
        expected.1,
        at(0.5),
        at(0.99),
        at(0.999)
    );
}
