pragma circom 2.2.0;

// 1 / n for n from 1 to 25: a hint, looked up because a witness calculator divides by some 250 squarings.
function smallInverse(n) {
    if (n == 1) { return 1; }
    if (n == 2) { return 10944121435919637611123202872628637544274182200208017171849102093287904247809; }
    if (n == 3) { return 14592161914559516814830937163504850059032242933610689562465469457717205663745; }
    if (n == 4) { return 16416182153879456416684804308942956316411273300312025757773653139931856371713; }
    if (n == 5) { return 8755297148735710088898562298102910035419345760166413737479281674630323398247; }
    if (n == 6) { return 18240202393199396018538671454381062573790303667013361953081836822146507079681; }
    if (n == 7) { return 3126891838834182174606629392179610726935480628630862049099743455225115499374; }
    if (n == 8) { return 19152212512859365819465605027100115702479818850364030050735928663253832433665; }
    if (n == 9) { return 19456215886079355753107916218006466745376323911480919416620625943622940884993; }
    if (n == 10) { return 15321770010287492655572484021680092561983855080291224040588742930603065946932; }
    if (n == 11) { return 7959361044305190989907783907366281850381223418333103397708437886027566725679; }
    if (n == 12) { return 20064222632519335620392538599819168831169334033714698148390020504361157787649; }
    if (n == 13) { return 20204531881697792512842836072545177004813874831153262471106034633762284765185; }
    if (n == 14) { return 1563445919417091087303314696089805363467740314315431024549871727612557749687; }
    if (n == 15) { return 2918432382911903362966187432700970011806448586722137912493093891543441132749; }
    if (n == 16) { return 20520227692349320520856005386178695395514091625390032197217066424914820464641; }
    if (n == 17) { return 7725262190060920666675202027737861795958246258970365062481719124673814763159; }
    if (n == 18) { return 20672229378959315487677160981631870916962344155948476880159415065099374690305; }
    if (n == 19) { return 1152012782728382906434021355013540794134124442127159702299905483503989920822; }
    if (n == 20) { return 7660885005143746327786242010840046280991927540145612020294371465301532973466; }
    if (n == 21) { return 8338378236891152465617678379145628605161281676348965464265982547266974664997; }
    if (n == 22) { return 14923801958072233106077094826311778469464793909374568870703321036301687610648; }
    if (n == 23) { return 8564964602024064217400767465535455469431968678423665612751471203442707672198; }
    if (n == 24) { return 20976232752179305421319472172538221959858849217065366246044112345468483141633; }
    if (n == 25) { return 19261653727218562195576837055826402077922560672366110222454419684186711476143; }
    return 0;
}

// Requantisation with ReLU, from the bits of an Accumulator of the same width and shift.
//
// Relation: out = clamp(⌊(y + 2^(shift−1)) / 2^shift⌋, 0, 127).
// Ranges:   bits[k] in {0, 1}: left to the caller (Accumulator enforces it). out in [0, 127]: follows.
//
// The top bit, sign, says that y + 2^(shift−1) ≥ 0. low are the seven bits from `shift` up, and outside counts the bits between
// them and the top that are 1, and the top bit if it is 0; so outside = 0 says that the shifted value lies in [0, 127]:
//   outside = 0: low;   outside > 0 and sign = 1: 127;   outside > 0 and sign = 0: 0.
// outside · (out − 127·sign) = 0 says so where outside ≠ 0, outside · factor = out − low where outside = 0. There factor is
// free, and nothing else reads it.
template RequantiseUncheckedBits(width, shift) {
    assert(shift >= 1 && width > shift && width <= 25);
    signal input bits[width];
    signal output out;

    var lowEnd = shift + 7;
    if (lowEnd > width - 1) { lowEnd = width - 1; }
    var low = 0;
    var place = 1;
    for (var k = shift; k < lowEnd; k++) {
        low += bits[k] * place;
        place += place;
    }

    if (lowEnd == width - 1) {
        // No value of this width shifts beyond 127: only the sign is left to apply.
        out <== low * bits[width - 1];
    } else {
        var outside = 1 - bits[width - 1];
        for (var k = lowEnd; k < width - 1; k++) { outside += bits[k]; }
        signal factor;
        out <-- outside == 0 ? low : 127 * bits[width - 1];
        factor <-- (out - low) * smallInverse(outside);
        outside * (out - 127 * bits[width - 1]) === 0;
        outside * factor === out - low;
    }
}
