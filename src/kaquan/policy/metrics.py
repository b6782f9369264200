"""What rules are about: each metric with its subject, operator and unit: fixed here in words, never in figures.

A metric has one operator, so that of any two values it is known which is the stricter one. Code of other rooms names a
metric and a rule row gives the figure; the reference of what a figure means is the metric's two sentences.
"""

from enum import StrEnum


class Subject(StrEnum):
    """What a metric is about; lists are searched by it."""

    PROGRAMME = "programme"
    CARD = "card"
    SALE = "sale"
    SPEND = "spend"
    REFUND = "refund"
    CLOSING = "closing"
    CUSTODY = "custody"
    FILING = "filing"
    REPORT = "report"
    RECORD = "record"
    AML = "aml"
    INVOICE = "invoice"
    PROMOTION = "promotion"
    SETTLEMENT = "settlement"
    PRIVACY = "privacy"


class Operator(StrEnum):
    """How a value binds, and therefore which of two values is the stricter one."""

    AT_MOST = "<="
    """A ceiling, included; the lower is stricter."""
    AT_LEAST = ">="
    """A floor, included; the higher is stricter."""
    FROM = "from"
    """A duty begins at this value, included; the lower is stricter."""
    MUST = "must"
    """Whether it is a duty: yes is stricter."""
    MAY = "may"
    """Whether it is allowed: no is stricter."""
    IS = "="
    """A given that has no more or less."""


class Unit(StrEnum):
    """What a value counts."""

    FEN = "fen"
    USD_CENT = "usd_cent"
    BP = "bp"
    COUNT = "count"
    DAYS = "days"
    WORKING_DAYS = "working_days"
    MONTHS = "months"
    YEARS = "years"
    HOURS = "hours"
    MINUTE_OF_DAY = "minute_of_day"
    DAY_OF_MONTH = "day_of_month"
    MONTH_DAY = "month_day"
    FLAG = "flag"
    CODE = "code"


class Action(StrEnum):
    """What software does where the rule bites."""

    REJECT = "reject"
    REQUIRE_REAL_NAME = "require_real_name"
    REQUIRE_NON_CASH = "require_non_cash"
    REQUIRE_CONTRACT = "require_contract"
    REQUIRE_MANUAL_REVIEW = "require_manual_review"
    HOLD = "hold"
    ALERT = "alert"
    REPORT = "report"
    DEPOSIT = "deposit"
    NOTIFY = "notify"
    RETAIN = "retain"
    DISCLOSE = "disclose"
    REFUND_RIGHT = "refund_right"
    COMPUTE = "compute"


class Metric(StrEnum):
    """Everything that policy can be asked. The value is the name in files and in the API."""

    subject: Subject
    operator: Operator
    unit: Unit
    en: str
    zh: str

    def __new__(cls, name: str, subject: Subject, operator: Operator, unit: Unit, en: str, zh: str) -> "Metric":
        member = str.__new__(cls, name)
        member._value_ = name
        member.subject, member.operator, member.unit, member.en, member.zh = subject, operator, unit, en, zh
        return member

    # fmt: off

    # --- programme
    LICENCE_REQUIRED = (
        "licence_required", Subject.PROGRAMME, Operator.MUST, Unit.FLAG,
        "A payment licence is needed to issue", "发行须持有支付业务许可",
    )
    OWN_NETWORK_ONLY = (
        "own_network_only", Subject.PROGRAMME, Operator.MUST, Unit.FLAG,
        "Cards are taken by the issuer, its group or its brand alone", "仅限发卡企业、所属集团或同一品牌特许体系内兑付",
    )
    TREATED_AS_SCHEME = (
        "treated_as_scheme", Subject.PROGRAMME, Operator.IS, Unit.CODE,
        "The scheme whose rules this one follows", "参照适用的卡类型",
    )
    CAPITAL_MIN = (
        "capital_min_fen", Subject.PROGRAMME, Operator.AT_LEAST, Unit.FEN,
        "Least paid-in capital of the issuer", "发卡机构最低实缴资本",
    )
    SCALE_ISSUER_REVENUE_FROM = (
        "scale_issuer_revenue_from_fen", Subject.PROGRAMME, Operator.FROM, Unit.FEN,
        "Last year's revenue that makes an issuer one of scale", "规模发卡企业的上年营业收入起点",
    )
    SCALE_ISSUER_CAPITAL_FROM = (
        "scale_issuer_capital_from_fen", Subject.PROGRAMME, Operator.FROM, Unit.FEN,
        "Registered capital that makes a young issuer one of scale", "成立不足一年的规模发卡企业注册资本起点",
    )
    ISSUING_ALLOWED = (
        "issuing_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "Cards may be issued or renewed", "可以发卡或续卡",
    )
    COLLECTION_ALLOWED = (
        "collection_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "Prepayments may be collected", "可以收取预付款",
    )
    LICENCE_AGE_MIN = (
        "licence_age_min_months", Subject.PROGRAMME, Operator.AT_LEAST, Unit.MONTHS,
        "Months that the issuer has had its business licence", "取得营业执照满月数",
    )
    TERMS_CHANGE_NOTICE = (
        "terms_change_notice_days", Subject.PROGRAMME, Operator.AT_LEAST, Unit.DAYS,
        "Days of public notice before the user agreement changes", "变更用户协议前的公示天数",
    )
    FEE_CHANGE_NOTICE = (
        "fee_change_notice_days", Subject.PROGRAMME, Operator.AT_LEAST, Unit.DAYS,
        "Days of public notice before a fee changes", "调整收费前的公示天数",
    )
    REPLACEMENT_FEE_CAP = (
        "replacement_fee_cap_fen", Subject.PROGRAMME, Operator.AT_MOST, Unit.FEN,
        "Fee for a new card in the place of another", "补换卡手续费上限",
    )
    ISSUE_FEE_ALLOWED = (
        "issue_fee_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "A fee may be asked for a card that is sold", "可以收取开卡费（售卡手续费）",
    )
    ISSUE_FEE_CAP = (
        "issue_fee_cap_fen", Subject.PROGRAMME, Operator.AT_MOST, Unit.FEN,
        "Fee for a card that is sold", "开卡费（售卡手续费）上限",
    )
    LOAD_FEE_ALLOWED = (
        "load_fee_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "A fee may be asked for a load", "可以收取充值手续费",
    )
    LOAD_FEE_CAP = (
        "load_fee_cap_fen", Subject.PROGRAMME, Operator.AT_MOST, Unit.FEN,
        "Fee for a load", "充值手续费上限",
    )
    DORMANCY_FEE_ALLOWED = (
        "dormancy_fee_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "A fee may be taken from a card because nobody uses it", "可以对长期不用的卡收取休眠管理费",
    )
    DORMANCY_FEE_CAP = (
        "dormancy_fee_cap_fen", Subject.PROGRAMME, Operator.AT_MOST, Unit.FEN,
        "Monthly fee of a card that nobody uses", "休眠管理费每月上限",
    )
    DORMANCY_FEE_WAIT_MONTHS = (
        "dormancy_fee_wait_months", Subject.PROGRAMME, Operator.AT_LEAST, Unit.MONTHS,
        "Months without a movement before a card pays for not being used", "收取休眠管理费前须无交易的月数",
    )
    NO_REFUND_CLAUSE_ALLOWED = (
        "no_refund_clause_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "The terms may exclude refunds", "条款可以约定不予退款",
    )
    REPLACEMENT_EXCLUSION_ALLOWED = (
        "replacement_exclusion_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "The terms may exclude the replacement of a lost card", "条款可以约定丢失不补办",
    )
    TRANSFER_BAN_ALLOWED = (
        "transfer_ban_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "The terms may ban the transfer of a card without reason", "条款可以不合理地限制转让",
    )
    UNILATERAL_CHANGE_ALLOWED = (
        "unilateral_change_allowed", Subject.PROGRAMME, Operator.MAY, Unit.FLAG,
        "The operator may change price, type, quality or quantity alone", "经营者可以单方变更价格、种类、质量、数量",
    )

    # --- card
    CARD_BALANCE_CAP = (
        "card_balance_cap_fen", Subject.CARD, Operator.AT_MOST, Unit.FEN,
        "The most that one card may hold, after a top-up or a goods-return credit too",
        "单张卡限额（充值或退货后亦同）",
    )
    OVERDRAFT_ALLOWED = (
        "overdraft_allowed", Subject.CARD, Operator.MAY, Unit.FLAG,
        "A card may be overdrawn", "可以透支",
    )
    EXPIRY_ALLOWED = (
        "expiry_allowed", Subject.CARD, Operator.MAY, Unit.FLAG,
        "An expiry may be set", "可以设定有效期",
    )
    VALIDITY_MIN_YEARS = (
        "validity_min_years", Subject.CARD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which a card with an expiry is valid", "有效期年数",
    )
    FORFEIT_AT_EXPIRY_ALLOWED = (
        "forfeit_at_expiry_allowed", Subject.CARD, Operator.MAY, Unit.FLAG,
        "The balance of an expired card may be forfeited", "到期余额可以作废",
    )
    LOSS_REPORT_REQUIRED = (
        "loss_report_required", Subject.CARD, Operator.MUST, Unit.FLAG,
        "Loss reports and re-issue must be offered", "须提供挂失和补办",
    )
    LOSS_REPORT_EFFECT_HOURS = (
        "loss_report_effect_hours", Subject.CARD, Operator.AT_MOST, Unit.HOURS,
        "Hours after which a loss report takes effect", "挂失生效小时数",
    )

    # --- sale and top-up
    REAL_NAME_FROM = (
        "real_name_from_fen", Subject.SALE, Operator.FROM, Unit.FEN,
        "One purchase or top-up from which buyer and agent are identified", "一次购卡或充值须实名登记的起点金额",
    )
    AGENT_IDENTITY_REQUIRED = (
        "agent_identity_required", Subject.SALE, Operator.MUST, Unit.FLAG,
        "An agent who buys for another is identified too", "代理人身份须登记",
    )
    NEAR_LIMIT_PURCHASES_PER_DAY = (
        "near_limit_purchases_per_day", Subject.SALE, Operator.AT_MOST, Unit.COUNT,
        "Purchases of one day just below the real-name line before somebody looks", "单日接近实名起点的购卡次数上限",
    )
    SALE_REFUND_APPROVAL_FROM = (
        "sale_refund_approval_from_fen", Subject.SALE, Operator.FROM, Unit.FEN,
        "Price of a sale from which two people take it back", "退售须双人审批的售价起点",
    )
    CASH_REFUSED_FROM = (
        "cash_refused_from_fen", Subject.SALE, Operator.FROM, Unit.FEN,
        "One purchase from which cash is refused and only a transfer taken", "一次购卡须转账、不得收现的起点金额",
    )
    TOP_UP_CASH_REFUSED_FROM = (
        "top_up_cash_refused_from_fen", Subject.SALE, Operator.FROM, Unit.FEN,
        "One top-up from which cash is refused", "一次充值不得收现的起点金额",
    )
    AGENT_CASH_TOP_UP_CAP_PER_DAY = (
        "agent_cash_top_up_cap_per_day_fen", Subject.SALE, Operator.AT_MOST, Unit.FEN,
        "Cash top-ups of one card in one day at agents or machines", "同卡同日自助或代理点现金充值上限",
    )
    TRANSFER_REGISTER_REQUIRED = (
        "transfer_register_required", Subject.SALE, Operator.MUST, Unit.FLAG,
        "Names, numbers and amounts of both bank accounts of a transfer are recorded",
        "须逐笔登记转账双方户名、账号、金额",
    )
    CREDIT_CARD_ALLOWED = (
        "credit_card_allowed", Subject.SALE, Operator.MAY, Unit.FLAG,
        "Credit cards may pay for purchases and top-ups", "可以使用信用卡购卡充值",
    )
    CONTRACT_REQUIRED = (
        "contract_required", Subject.SALE, Operator.MUST, Unit.FLAG,
        "A written contract with price, refund and liability is needed", "须订立书面合同",
    )
    CHARTER_REQUIRED = (
        "charter_required", Subject.SALE, Operator.MUST, Unit.FLAG,
        "The card charter is published or handed over", "须公示或提供章程",
    )
    CONTRACT_AGE_MIN_YEARS = (
        "contract_age_min_years", Subject.SALE, Operator.AT_LEAST, Unit.YEARS,
        "Age below which a contract is void", "低于该年龄合同无效",
    )
    FULL_AGE_YEARS = (
        "full_age_years", Subject.SALE, Operator.AT_LEAST, Unit.YEARS,
        "Age below which a guardian must consent unless the amount fits the age",
        "低于该年龄须监护人同意或与年龄相适应",
    )

    # --- spend
    QR_DAY_CAP = (
        "qr_day_cap_fen", Subject.SPEND, Operator.AT_MOST, Unit.FEN,
        "Code payments of one customer in one day", "同一客户条码支付单日上限",
    )
    NIGHT_FROM = (
        "night_from_minute", Subject.SPEND, Operator.IS, Unit.MINUTE_OF_DAY,
        "Minute of the issuer's day at which night begins", "夜间限额开始时刻（当日第几分钟）",
    )
    NIGHT_PAYMENT_CAP = (
        "night_payment_cap_fen", Subject.SPEND, Operator.AT_MOST, Unit.FEN,
        "One payment at night", "夜间单笔支付上限",
    )
    DAY_SPEND_CAP = (
        "day_spend_cap_fen", Subject.SPEND, Operator.AT_MOST, Unit.FEN,
        "Payments of one card in one day", "单卡单日支付上限",
    )
    CASH_OUT_ALLOWED = (
        "cash_out_allowed", Subject.SPEND, Operator.MAY, Unit.FLAG,
        "A card may be cashed out, or buy or top up cards of other issuers", "可以套现或购买、充值其他预付卡",
    )

    # --- refund
    COOLING_OFF_DAYS = (
        "cooling_off_days", Subject.REFUND, Operator.AT_LEAST, Unit.DAYS,
        "Days from payment within which the principal is refunded without a reason", "付款后无理由退款天数",
    )
    COOLING_OFF_REFUND_DUE_DAYS = (
        "cooling_off_refund_due_days", Subject.REFUND, Operator.AT_MOST, Unit.DAYS,
        "Days within which such a refund is paid", "无理由退款的办结天数",
    )
    REFUND_DUE_DAYS = (
        "refund_due_days", Subject.REFUND, Operator.AT_MOST, Unit.DAYS,
        "Days within which another refund is paid", "其他退款的办结天数",
    )
    REFUND_IDENTITY_REQUIRED = (
        "refund_identity_required", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "Identity, card number and amount of a card refund are recorded", "退卡须出示并登记身份信息",
    )
    REFUND_SAME_NAME_REQUIRED = (
        "refund_same_name_required", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "A card refund goes to a bank account of the same name", "退卡资金须退至同名银行账户",
    )
    CASH_REFUND_CAP = (
        "cash_refund_cap_fen", Subject.REFUND, Operator.AT_MOST, Unit.FEN,
        "Remaining balance that may be refunded in cash", "可以现金退还的余额上限",
    )
    GOODS_RETURN_TO_CARD_REQUIRED = (
        "goods_return_to_card_required", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "Goods paid with a card are refunded onto a card of the same kind", "持卡购物退货须退回原卡或同类卡",
    )
    REDEMPTION_WAIT_MONTHS = (
        "redemption_wait_months", Subject.REFUND, Operator.AT_LEAST, Unit.MONTHS,
        "Months after purchase from which a card is redeemed", "购卡后可赎回的月数",
    )
    REDEMPTION_ALLOWED = (
        "redemption_allowed", Subject.REFUND, Operator.MAY, Unit.FLAG,
        "A holder who wishes may have a card redeemed", "持卡人可以申请赎回",
    )
    REFUND_PAID_LESS_REDEEMED = (
        "refund_paid_less_redeemed", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "What was paid less the price of what was redeemed is refunded", "退还预付款本金减去已兑付部分的价款",
    )
    REFUND_BY_TIME_LEFT = (
        "refund_by_time_left", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "A card for a time is refunded by the time that is left", "按期限计费的，按剩余期限比例退款",
    )
    REFUND_INTEREST_FROM_END = (
        "refund_interest_from_end", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "The interest of a refund runs from the day on which the contract ended", "退款利息自合同终止之日起算",
    )
    REDEEMED_VALUE_PRICE = (
        "redeemed_value_price", Subject.REFUND, Operator.IS, Unit.CODE,
        "Price at which redeemed value is counted in a refund: discounted or list",
        "退款时已消费部分的计价：折后或折前",
    )
    REFUND_CLAWBACK_ALLOWED = (
        "refund_clawback_allowed", Subject.REFUND, Operator.MAY, Unit.FLAG,
        "The consumer may be asked for more than was prepaid", "可以向消费者追偿超出预付款的部分",
    )
    REFUND_INTEREST_SOURCE = (
        "refund_interest_source", Subject.REFUND, Operator.IS, Unit.CODE,
        "Where the interest rate of a refund comes from", "退款利率来源",
    )
    REFUND_INTEREST_RATE = (
        "refund_interest_rate_bp", Subject.REFUND, Operator.IS, Unit.BP,
        "The yearly interest rate of a refund", "退款年利率",
    )
    REFUND_GIFT_REVIEW_REQUIRED = (
        "refund_gift_review_required", Subject.REFUND, Operator.MUST, Unit.FLAG,
        "Gifted goods in a refund are decided by a person", "涉及赠品的退款须人工处理",
    )

    # --- closing
    CLOSING_NOTICE_DAYS = (
        "closing_notice_days", Subject.CLOSING, Operator.AT_LEAST, Unit.DAYS,
        "Days of notice before redemption stops, a business closes or moves", "停止兑付、歇业或迁址前的公告天数",
    )
    FREE_REFUND_AT_END_REQUIRED = (
        "free_refund_at_end_required", Subject.CLOSING, Operator.MUST, Unit.FLAG,
        "Refunds are free when a programme stops", "终止兑付须免费退卡",
    )
    DEREGISTRATION_NOTICE_DAYS = (
        "deregistration_notice_days", Subject.CLOSING, Operator.AT_LEAST, Unit.DAYS,
        "Days of public notice before an operator leaves the platform", "退出协同监管平台前的公告天数",
    )

    # --- custody of funds
    CUSTODY_SHARE = (
        "custody_share_bp", Subject.CUSTODY, Operator.AT_LEAST, Unit.BP,
        "Share of the prepaid balance (of the last quarter) in the custody account", "预收资金（上季度末余额）存管比例",
    )
    CUSTODY_ACCOUNT_REQUIRED = (
        "custody_account_required", Subject.CUSTODY, Operator.MUST, Unit.FLAG,
        "A custody account at a commercial bank is needed", "须开立资金存管账户",
    )
    CUSTODY_SUBSTITUTE_ALLOWED = (
        "custody_substitute_allowed", Subject.CUSTODY, Operator.MAY, Unit.FLAG,
        "Insurance or a bank guarantee may stand in for custody", "可以用保证保险或银行保函替代",
    )
    CUSTODY_MIX_ALLOWED = (
        "custody_mix_allowed", Subject.CUSTODY, Operator.MAY, Unit.FLAG,
        "Custody, insurance and guarantee may be combined", "存管、保险、保函可以并用",
    )
    CUSTODY_WARNING_LINE = (
        "custody_warning_line_fen", Subject.CUSTODY, Operator.FROM, Unit.FEN,
        "Prepaid balance above which the warning share applies", "一般风险警示线",
    )
    CUSTODY_SPECIAL_LINE = (
        "custody_special_line_bp", Subject.CUSTODY, Operator.FROM, Unit.BP,
        "Prepaid balance, as a share of last year's revenue, above which all of it is held",
        "专用风险警示线（占上年主营收入比例）",
    )
    CUSTODY_SPECIAL_LINE_MAX = (
        "custody_special_line_max_fen", Subject.CUSTODY, Operator.AT_MOST, Unit.FEN,
        "The highest that this line may be", "专用风险警示线上限",
    )
    BALANCE_CAP_OF_REVENUE = (
        "balance_cap_of_revenue_bp", Subject.CUSTODY, Operator.AT_MOST, Unit.BP,
        "Prepaid balance as a share of last year's main revenue", "预收资金余额占上年主营业务收入上限",
    )
    BALANCE_CAP_OF_CAPITAL = (
        "balance_cap_of_capital_bp", Subject.CUSTODY, Operator.AT_MOST, Unit.BP,
        "Prepaid balance as a share of registered capital", "预收资金余额占注册资本上限",
    )
    FUNDS_INVESTMENT_ALLOWED = (
        "funds_investment_allowed", Subject.CUSTODY, Operator.MAY, Unit.FLAG,
        "Prepaid funds may go into real estate, equity, securities or loans",
        "预收资金可以用于不动产、股权、证券投资及借贷",
    )
    INTEREST_TO_HOLDERS_ALLOWED = (
        "interest_to_holders_allowed", Subject.CUSTODY, Operator.MAY, Unit.FLAG,
        "Interest may be paid on balances", "可以向用户支付余额利息",
    )
    GUARANTEE_SHARE = (
        "guarantee_share_bp", Subject.CUSTODY, Operator.AT_LEAST, Unit.BP,
        "Share of the prepaid balance that the issuer itself keeps as guarantee", "发卡方自定的保证金比例",
    )

    # --- filing and reports
    FILING_DUE_DAYS = (
        "filing_due_days", Subject.FILING, Operator.AT_MOST, Unit.DAYS,
        "Days after the start of the business within which it is filed", "开展业务后办理备案的天数",
    )
    FILING_AUTHORITY = (
        "filing_authority", Subject.FILING, Operator.IS, Unit.CODE,
        "Level of the authority to file with: province, city or county", "备案机关层级：省、市、县",
    )
    LINK_BADGE_DUE = (
        "link_badge_due_working_days", Subject.FILING, Operator.AT_MOST, Unit.WORKING_DAYS,
        "Working days after linking within which the badge is fetched and shown", "对接后领取并公示标识的工作日",
    )
    QUARTERLY_REPORT_DUE = (
        "quarterly_report_due_working_days", Subject.REPORT, Operator.AT_MOST, Unit.WORKING_DAYS,
        "Working days after a quarter within which its report is filed", "季度报告期限（季度结束后工作日）",
    )
    YEARLY_REPORT_DUE = (
        "yearly_report_due", Subject.REPORT, Operator.IS, Unit.MONTH_DAY,
        "Day of the next year until which the yearly report is filed", "年度报告期限（次年月日）",
    )
    SPENDING_REPORT_DUE = (
        "spending_report_due_day", Subject.REPORT, Operator.AT_MOST, Unit.DAY_OF_MONTH,
        "Day of a quarter's first month until which the spending of the last quarter is reported",
        "每季度首月报送上季度资金支出的期限（日）",
    )
    PLATFORM_LINK_REQUIRED = (
        "platform_link_required", Subject.REPORT, Operator.MUST, Unit.FLAG,
        "The processing system is linked to the supervision platform, without personal data",
        "业务处理系统须与协同监管平台对接（不采集个人信息）",
    )

    # --- records
    PURCHASER_RECORD_YEARS = (
        "purchaser_record_years", Subject.RECORD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which the register of purchasers is kept", "购卡人登记资料保存年限",
    )
    TRANSACTION_RECORD_YEARS = (
        "transaction_record_years", Subject.RECORD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which transactions are kept", "交易记录保存年限",
    )
    CUSTOMER_RECORD_YEARS = (
        "customer_record_years", Subject.RECORD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which customer data is kept after the relation ends", "业务关系结束后客户资料保存年限",
    )
    INVOICE_RECORD_YEARS = (
        "invoice_record_years", Subject.RECORD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which invoice stubs are kept", "发票存根保存年限",
    )
    SIGNATURE_RECORD_YEARS = (
        "signature_record_years", Subject.RECORD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which certificate data of e-signatures is kept", "电子签名认证信息保存年限",
    )
    IMPACT_ASSESSMENT_YEARS = (
        "impact_assessment_years", Subject.RECORD, Operator.AT_LEAST, Unit.YEARS,
        "Years for which an impact assessment is kept", "个人信息保护影响评估报告保存年限",
    )
    NETWORK_LOG_MONTHS = (
        "network_log_months", Subject.RECORD, Operator.AT_LEAST, Unit.MONTHS,
        "Months for which network logs are kept", "网络日志保存月数",
    )
    EVIDENCE_EXPORT_REQUIRED = (
        "evidence_export_required", Subject.RECORD, Operator.MUST, Unit.FLAG,
        "Contracts and usage records are kept and can be exported for a dispute", "须保存并能提供合同与消费记录",
    )

    # --- anti-money-laundering
    LARGE_CASH_FROM = (
        "large_cash_from_fen", Subject.AML, Operator.FROM, Unit.FEN,
        "Cash of one customer in one day, in or out, from which it is reported", "客户单日现金大额交易报告起点",
    )
    LARGE_CASH_FROM_USD = (
        "large_cash_from_usd_cent", Subject.AML, Operator.FROM, Unit.USD_CENT,
        "The same in foreign currency", "客户单日外币现金大额交易报告起点（等值美元）",
    )
    LARGE_TRANSFER_FROM = (
        "large_transfer_from_fen", Subject.AML, Operator.FROM, Unit.FEN,
        "Transfers of one customer in one day, in or out, from which they are reported", "客户单日转账大额交易报告起点",
    )
    LARGE_TRANSFER_FROM_USD = (
        "large_transfer_from_usd_cent", Subject.AML, Operator.FROM, Unit.USD_CENT,
        "The same in foreign currency", "客户单日外币转账大额交易报告起点（等值美元）",
    )
    LARGE_VALUE_REPORT_DUE = (
        "large_value_report_due_working_days", Subject.AML, Operator.AT_MOST, Unit.WORKING_DAYS,
        "Working days within which a large-value report is sent", "大额交易报告期限（工作日）",
    )
    SUSPICIOUS_REPORT_DUE = (
        "suspicious_report_due_working_days", Subject.AML, Operator.AT_MOST, Unit.WORKING_DAYS,
        "Working days after confirmation within which a suspicion is reported", "可疑交易确认后报告期限（工作日）",
    )
    LIST_SCREENING_REQUIRED = (
        "list_screening_required", Subject.AML, Operator.MUST, Unit.FLAG,
        "Names are screened against the terror, sanctions and PBoC lists", "须筛查恐怖活动、制裁和人民银行名单",
    )
    TEMPORARY_FREEZE_HOURS = (
        "temporary_freeze_hours", Subject.AML, Operator.AT_MOST, Unit.HOURS,
        "Hours of a temporary freeze without a further order", "临时冻结小时数上限",
    )
    OBJECTION_ANSWER_DAYS = (
        "objection_answer_days", Subject.AML, Operator.AT_MOST, Unit.DAYS,
        "Days within which an objection to a measure is answered", "答复客户异议的天数",
    )
    TIPPING_OFF_ALLOWED = (
        "tipping_off_allowed", Subject.AML, Operator.MAY, Unit.FLAG,
        "The customer may be told of a report", "可以向客户透露可疑交易报告",
    )

    # --- invoices
    PREPAID_INVOICE_CLASS = (
        "prepaid_invoice_class", Subject.INVOICE, Operator.IS, Unit.CODE,
        "Goods class on the invoice for a sale or top-up", "售卡、充值发票的编码大类",
    )
    PREPAID_INVOICE_CODE = (
        "prepaid_invoice_code", Subject.INVOICE, Operator.IS, Unit.CODE,
        "Goods code on the invoice for a sale or top-up", "售卡、充值发票的商品编码",
    )
    SPECIAL_INVOICE_ALLOWED = (
        "special_invoice_allowed", Subject.INVOICE, Operator.MAY, Unit.FLAG,
        "A special VAT invoice may be given for prepaid money", "可以就预收资金开具专用发票",
    )
    HOLDER_INVOICE_ALLOWED = (
        "holder_invoice_allowed", Subject.INVOICE, Operator.MAY, Unit.FLAG,
        "The seller may invoice a holder who pays with a card", "可以向持卡消费者开具发票",
    )
    SETTLEMENT_INVOICE_REMARK = (
        "settlement_invoice_remark", Subject.INVOICE, Operator.IS, Unit.CODE,
        "Remark on the invoice from the redeeming seller to the card seller", "结算发票备注内容",
    )
    INVOICE_NUMBER_DIGITS = (
        "invoice_number_digits", Subject.INVOICE, Operator.IS, Unit.COUNT,
        "Digits of the number of a fully digital invoice", "数电票号码位数",
    )
    RED_CONFIRM_HOURS = (
        "red_confirm_hours", Subject.INVOICE, Operator.AT_MOST, Unit.HOURS,
        "Hours for confirming a red-invoice slip", "红字确认单确认时限（小时）",
    )

    # --- promotions, vouchers, settlement
    LOTTERY_PRIZE_CAP = (
        "lottery_prize_cap_fen", Subject.PROMOTION, Operator.AT_MOST, Unit.FEN,
        "The highest prize of a lottery promotion", "抽奖式有奖销售最高奖",
    )
    REBATE_CAP = (
        "rebate_cap_bp", Subject.PROMOTION, Operator.AT_MOST, Unit.BP,
        "Rebate on a load, as a share of it", "充值返利比例上限",
    )
    VOUCHER_VALIDITY_MAX_DAYS = (
        "voucher_validity_max_days", Subject.PROMOTION, Operator.AT_MOST, Unit.DAYS,
        "Days for which a voucher is valid", "券有效期天数上限",
    )
    SETTLEMENT_RETENTION = (
        "settlement_retention_bp", Subject.SETTLEMENT, Operator.AT_LEAST, Unit.BP,
        "Share of a merchant's settlement held as guarantee", "商户结算保证金比例",
    )
    BUYBACK_FEE_CAP = (
        "buyback_fee_cap_bp", Subject.SETTLEMENT, Operator.AT_MOST, Unit.BP,
        "Fee of a voucher buyback, as a share of face value", "卡券回收手续费比例上限",
    )

    # --- personal data
    MARKETING_CONSENT_REQUIRED = (
        "marketing_consent_required", Subject.PRIVACY, Operator.MUST, Unit.FLAG,
        "Marketing messages need consent", "发送营销信息须经同意",
    )
    SENSITIVE_CONSENT_REQUIRED = (
        "sensitive_consent_required", Subject.PRIVACY, Operator.MUST, Unit.FLAG,
        "Sensitive personal data needs a consent of its own", "处理敏感个人信息须单独同意",
    )
    SHARING_CONSENT_REQUIRED = (
        "sharing_consent_required", Subject.PRIVACY, Operator.MUST, Unit.FLAG,
        "Passing data to another handler needs a consent of its own", "向他人提供个人信息须单独同意",
    )
    SECURITY_REPORT_HOURS = (
        "security_report_hours", Subject.PRIVACY, Operator.AT_MOST, Unit.HOURS,
        "Hours within which a risk to national security or public interest is reported", "重大安全风险报告时限（小时）",
    )
    # fmt: on
