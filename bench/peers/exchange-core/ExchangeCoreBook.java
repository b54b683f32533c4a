import exchange.core2.collections.objpool.ObjectsPool;
import exchange.core2.core.common.CoreSymbolSpecification;
import exchange.core2.core.common.MatcherEventType;
import exchange.core2.core.common.MatcherTradeEvent;
import exchange.core2.core.common.OrderAction;
import exchange.core2.core.common.OrderType;
import exchange.core2.core.common.SymbolType;
import exchange.core2.core.common.cmd.CommandResultCode;
import exchange.core2.core.common.cmd.OrderCommand;
import exchange.core2.core.common.cmd.OrderCommandType;
import exchange.core2.core.common.config.LoggingConfiguration;
import exchange.core2.core.orderbook.IOrderBook;
import exchange.core2.core.orderbook.OrderBookDirectImpl;
import exchange.core2.core.orderbook.OrderBookEventsHelper;
import java.util.Map;

/**
 * exchange-core's direct order book alone: no risk, no rings. One command object is filled and processed again and again, as a slot of its
 * ring is; the chain of events it leaves is read. Object pools are of the sizes its matching engine gives them, empty at first (shared by
 * all passes they were slower); events come from the heap.
 * A fill-or-kill becomes its fill-or-kill with a budget: the limit is the far end of the range there, so that both fill the same orders.
 */
final class ExchangeCoreBook implements Passes.Engine {
    private static final OrderCommandType[] COMMANDS = {
        OrderCommandType.PLACE_ORDER, OrderCommandType.PLACE_ORDER, OrderCommandType.PLACE_ORDER,
        OrderCommandType.CANCEL_ORDER, OrderCommandType.MOVE_ORDER, OrderCommandType.REDUCE_ORDER,
    };
    private static final OrderType[] TYPES = {OrderType.GTC, OrderType.IOC, OrderType.FOK_BUDGET};

    private final Flow flow;
    private final Trades trades;
    private final OrderCommand command = new OrderCommand();
    private final IOrderBook book;

    private ExchangeCoreBook(Flow flow, Trades trades) {
        this.flow = flow;
        this.trades = trades;
        CoreSymbolSpecification symbol = CoreSymbolSpecification.builder()
                .symbolId(1).type(SymbolType.CURRENCY_EXCHANGE_PAIR).baseCurrency(1).quoteCurrency(2)
                .baseScaleK(1).quoteScaleK(1).build();
        ObjectsPool pool = new ObjectsPool(Map.of(
                ObjectsPool.DIRECT_ORDER, 1 << 20, ObjectsPool.DIRECT_BUCKET, 1 << 16,
                ObjectsPool.ART_NODE_4, 1 << 15, ObjectsPool.ART_NODE_16, 1 << 14,
                ObjectsPool.ART_NODE_48, 1 << 13, ObjectsPool.ART_NODE_256, 1 << 12));
        book = new OrderBookDirectImpl(symbol, pool, OrderBookEventsHelper.NON_POOLED_EVENTS_HELPER, LoggingConfiguration.DEFAULT);
    }

    @Override
    public void run(int row) {
        OrderCommand command = this.command;
        int op = flow.op[row];
        command.command = COMMANDS[op];
        command.symbol = 1;
        command.orderId = flow.order[row];
        command.uid = flow.account[row];
        command.price = flow.price[row];
        command.size = flow.quantity[row];
        command.matcherEvent = null;
        command.resultCode = CommandResultCode.VALID_FOR_MATCHING_ENGINE;
        if (op <= Flow.FOK) {
            command.action = flow.sell[row] ? OrderAction.ASK : OrderAction.BID;
            command.orderType = TYPES[op];
            command.reserveBidPrice = flow.priceMax;
            if (op == Flow.FOK) command.price = flow.price[row] * flow.quantity[row];
        }
        CommandResultCode result = IOrderBook.processCommand(book, command);
        if (result != CommandResultCode.SUCCESS) throw new IllegalStateException("row " + row + ": " + result);
        for (MatcherTradeEvent event = command.matcherEvent; event != null; event = event.nextEvent) {
            if (event.eventType == MatcherEventType.TRADE) trades.add(command.orderId, event.matchedOrderId, event.price, event.size);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String version = System.getProperty("peer.version");
        Passes.main("exchange-core", version, arguments, flow -> trades -> new ExchangeCoreBook(flow, trades));
    }
}
